import type { Context, MiddlewareHandler } from 'hono';

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
