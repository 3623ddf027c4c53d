import { readSeekToken, type SeekTokenReading } from '../readSeekToken.ts';

declare global {
  namespace Express {
    interface Request {
      /** The seek token that the candidate arrived with, if any. */
      seekToken?: SeekTokenReading | undefined;
    }
  }
}

type Request = { url: string; originalUrl?: string; seekToken?: SeekTokenReading | undefined };

/** Express middleware: puts what `readSeekToken` finds on `req.seekToken`. */
export const seekToken =
  () =>
  (req: Request, _res: unknown, next: () => void): void => {
    req.seekToken = readSeekToken(req);
    next();
  };
