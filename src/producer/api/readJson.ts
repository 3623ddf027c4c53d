import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';

import type { Logger } from '../../logging.ts';
import { maskBody } from '../../masking.ts';

const MEBIBYTE = 1024 * 1024;

// Strict: a replacement character in a token would be another token.
const decoder = new TextDecoder('utf-8', { fatal: true });

type Options = {
  mebibytes: number;
  /** Logs the body, masked. */
  logger?: Logger | undefined;
  /** What no body at all stands for; without this, it is no JSON. */
  ifEmpty?: unknown;
};

/**
 * The body as JSON; 413 if it is larger than allowed, 400 if it can't be read. The parser's own
 * message is kept back, for it quotes the body.
 */
export const readJson = async (c: Context, options: Options): Promise<unknown> => {
  const { mebibytes, logger, ifEmpty } = options;
  const bytes = await readBody(c.req.raw.body, mebibytes);
  if (bytes.byteLength === 0 && ifEmpty !== undefined) return ifEmpty;
  try {
    const body: unknown = JSON.parse(decoder.decode(bytes));
    logger?.info({ path: c.req.path, body: maskBody(body) }, 'api.request');
    return body;
  } catch {
    throw new HTTPException(400, { message: 'The body is not JSON in UTF-8' });
  }
};

/** As it comes, so that neither a missing nor an untrue Content-Length lets more in. */
const readBody = async (
  body: ReadableStream<Uint8Array> | null,
  mebibytes: number,
): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > mebibytes * MEBIBYTE) {
      throw new HTTPException(413, { message: `The body is over ${mebibytes} MiB` });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};
