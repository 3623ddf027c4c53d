import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';

import type { Logger } from '../../logging.ts';
import { maskBody } from '../../masking.ts';

// Strict: a replacement character in a token would be another token.
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The body as JSON, or 400. The parser's own message is kept back: it quotes the body. */
export const readJson = async (
  c: Context,
  logger: Logger,
  logBodies: boolean,
): Promise<unknown> => {
  try {
    const body: unknown = JSON.parse(decoder.decode(await c.req.arrayBuffer()));
    if (logBodies) logger.info({ path: c.req.path, body: maskBody(body) }, 'api.request');
    return body;
  } catch (err) {
    if (err instanceof HTTPException) throw err;
    throw new HTTPException(400, { message: 'The body is not JSON in UTF-8' });
  }
};
