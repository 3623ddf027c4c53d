import type { Context, MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { QUEUES } from './pages/layout.ts';

const originIsOurs = (origin: string, host: string | undefined) =>
  URL.canParse(origin) && new URL(origin).host === host;

/**
 * Browsers send the login along with whatever another site makes them ask for. What they say of
 * themselves tells such requests apart: `Sec-Fetch-Site` wherever they trust the connection, `Origin`
 * on every write.
 */
const isForeign = (c: Context): boolean => {
  const site = c.req.header('Sec-Fetch-Site');
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';

  const origin = c.req.header('Origin');
  // Only hosts are compared: behind a proxy that ends TLS we do not know our own scheme.
  if (origin !== undefined) return !originIsOurs(origin, c.req.header('Host'));

  // An operator's script names no origin, and is welcome; a browser that names none on a write is not.
  const isRead = c.req.method === 'GET' || c.req.method === 'HEAD';
  const isBrowser =
    c.req.header('Referer') !== undefined ||
    c.req.header('Cookie') !== undefined ||
    (c.req.header('User-Agent')?.startsWith('Mozilla/') ?? false);
  return !isRead && isBrowser;
};

/** A link from elsewhere may open a page; nothing else is answered to another site. */
export const refuseForeignOrigins: MiddlewareHandler = async (c, next) => {
  const isLink = c.req.method === 'GET' && c.req.header('Sec-Fetch-Mode') === 'navigate';
  if (isForeign(c) && !isLink) {
    return c.json({ message: 'Refused: the request comes from another site.' }, 403);
  }
  return next();
};

/** Headers under which the page can neither reach another host nor be framed or read by one. */
export const pageHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    workerSrc: ["'self'"],
    connectSrc: ["'self'"],
    fontSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    // Bull Board's dialogs add styles as they open, and take no nonce. A style could not call out from here.
    styleSrc: ["'self'", "'unsafe-inline'"],
    baseUri: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: 'DENY',
  // Under "no-referrer" a browser that may not say Sec-Fetch-Site would call the origin of our own forms null.
  referrerPolicy: 'same-origin',
  // Whether this host is only ever reached by HTTPS is not ours to promise.
  strictTransportSecurity: false,
});

/** Only Bull Board's own files may be kept, and only by the browser of whoever is logged in. */
export const caching: MiddlewareHandler = async (c, next) => {
  await next();
  const isFile = c.res.ok && c.req.path.startsWith(`${QUEUES}/static/`);
  c.header('Cache-Control', isFile ? 'private, max-age=3600' : 'no-store');
};

const OUTSIDE_LINK = /<link[^>]+href="https?:[^>]*>/g;

/** Takes Google's fonts off the page, which would wait for another host. */
export const selfContained: MiddlewareHandler = async (c, next) => {
  await next();
  if (!c.res.headers.get('Content-Type')?.startsWith('text/html')) return;

  // With its status: a refusal that says 200 is none to a program.
  c.res = new Response((await c.res.text()).replace(OUTSIDE_LINK, ''), c.res);
};
