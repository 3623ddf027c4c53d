import { readSeekToken, type SeekTokenReading } from '../readSeekToken.ts';

/** For `new Hono<{ Variables: SeekTokenVariables }>()`. */
export type SeekTokenVariables = {
  /** The seek token that the candidate arrived with, if any. */
  seekToken: SeekTokenReading | undefined;
};

type Context = {
  req: { url: string };
  set: (key: 'seekToken', value: SeekTokenReading | undefined) => void;
};

/** Hono middleware: puts what `readSeekToken` finds where `c.get('seekToken')` and `c.var` have it. */
export const seekToken =
  () =>
  async (c: Context, next: () => Promise<void>): Promise<void> => {
    c.set('seekToken', readSeekToken(c.req));
    await next();
  };
