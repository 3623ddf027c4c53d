import { readSeekToken, type SeekTokenReading } from '../readSeekToken.ts';

/** The variables that the middleware sets: `new Hono<{ Variables: SeekTokenVariables }>()`. */
export type SeekTokenVariables = {
  /** The seek token of the request's URL; `undefined` if it has none. */
  seekToken: SeekTokenReading | undefined;
};

type Context = {
  req: { url: string };
  set: (key: 'seekToken', value: SeekTokenReading | undefined) => void;
};

/**
 * Hono middleware that sets the variable `seekToken` to the seek token of the request's URL, read by
 * `readSeekToken`: `app.use(seekToken())`, then `c.get('seekToken')`.
 */
export const seekToken =
  () =>
  async (c: Context, next: () => Promise<void>): Promise<void> => {
    c.set('seekToken', readSeekToken(c.req));
    await next();
  };
