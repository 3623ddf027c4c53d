import type { Context, MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { QUEUES } from './pages/layout.ts';

const originIsOurs = (origin: string, host: string | undefined) =>
  URL.canParse(origin) && new URL(origin).host === host;

/**
 * Whether another site made the browser send this request. Browsers attach the login to such requests too.
 * They send `Sec-Fetch-Site` on connections that they trust, and `Origin` on every write.
 */
const isForeign = (c: Context): boolean => {
  const site = c.req.header('Sec-Fetch-Site');
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';

  const origin = c.req.header('Origin');
  // Only hosts are compared: behind a proxy that terminates TLS, the board does not know its own scheme.
  if (origin !== undefined) return !originIsOurs(origin, c.req.header('Host'));

  // A script sends no origin and may write. A browser always sends one on a write, so its absence is suspicious.
  const isRead = c.req.method === 'GET' || c.req.method === 'HEAD';
  const isBrowser =
    c.req.header('Referer') !== undefined ||
    c.req.header('Cookie') !== undefined ||
    (c.req.header('User-Agent')?.startsWith('Mozilla/') ?? false);
  return !isRead && isBrowser;
};

/** Refuses requests from other sites, except a link that opens a page. */
export const refuseForeignOrigins: MiddlewareHandler = async (c, next) => {
  const isLink = c.req.method === 'GET' && c.req.header('Sec-Fetch-Mode') === 'navigate';
  if (isForeign(c) && !isLink) {
    return c.json({ message: 'Refused: the request comes from another site.' }, 403);
  }
  return next();
};

/** With these headers, a page cannot connect to another host, and no other site can frame or read it. */
export const pageHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    workerSrc: ["'self'"],
    connectSrc: ["'self'"],
    fontSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    // Bull Board's dialogs add styles when they open, and cannot use a nonce. A style cannot reach another host.
    styleSrc: ["'self'", "'unsafe-inline'"],
    baseUri: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: 'DENY',
  // With "no-referrer", a browser that omits Sec-Fetch-Site would send `Origin: null` with our own forms.
  referrerPolicy: 'same-origin',
  // The board cannot know whether its host is reached by HTTPS only.
  strictTransportSecurity: false,
});

/** Only Bull Board's static files may be cached, and only by the browser of the logged-in user. */
export const cacheHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  const isFile = c.res.ok && c.req.path.startsWith(`${QUEUES}/static/`);
  c.header('Cache-Control', isFile ? 'private, max-age=3600' : 'no-store');
};

const EXTERNAL_LINK = /<link[^>]+href="https?:[^>]*>/g;

/** Removes Google's fonts from Bull Board's page. Without access to that host, the page would wait for them. */
export const removeExternalLinks: MiddlewareHandler = async (c, next) => {
  await next();
  if (!c.res.headers.get('Content-Type')?.startsWith('text/html')) return;

  // Passing the old response keeps its status. Without it, an error page would have status 200.
  c.res = new Response((await c.res.text()).replace(EXTERNAL_LINK, ''), c.res);
};
