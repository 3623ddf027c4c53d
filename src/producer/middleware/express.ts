import { readSeekToken, type SeekTokenReading } from '../readSeekToken.ts';

declare global {
  namespace Express {
    interface Request {
      /** The seek token of the request's URL; `undefined` if it has none. */
      seekToken?: SeekTokenReading | undefined;
    }
  }
}

type Request = { url: string; originalUrl?: string; seekToken?: SeekTokenReading | undefined };

/**
 * Express middleware that sets `req.seekToken` to the seek token of the request's URL, read by
 * `readSeekToken`: `app.use(seekToken())`.
 */
export const seekToken =
  () =>
  (req: Request, _res: unknown, next: () => void): void => {
    req.seekToken = readSeekToken(req);
    next();
  };
