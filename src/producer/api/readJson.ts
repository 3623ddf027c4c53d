import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';

import type { Logger } from '../../logging.ts';
import { maskBody } from '../../observability/redact.ts';

const MEBIBYTE = 1024 * 1024;
const MAX_CHUNKS = 1_000;

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
 * The body as JSON; 413 if it is larger than allowed, 415 if it is compressed, 400 if it can't be read. The
 * parser's own message is kept back, for it quotes the body.
 */
export const readJson = async (c: Context, options: Options): Promise<unknown> => {
  const { mebibytes, logger, ifEmpty } = options;
  const bytes = await readBody(c, mebibytes);
  if (bytes.byteLength === 0 && ifEmpty !== undefined) return ifEmpty;
  const body = parse(bytes);
  logger?.info({ path: c.req.path, body: describeBody(body) }, 'api.request');
  return body;
};

const parse = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    throw new HTTPException(400, { message: 'The body is not JSON in UTF-8' });
  }
};

// The parser takes any depth, but what walks a value runs out of stack: no reason to refuse it.
const describeBody = (body: unknown): unknown => {
  try {
    return maskBody(body);
  } catch (err) {
    if (err instanceof RangeError) return '[nested too deep to be shown]';
    throw err;
  }
};

/** As it comes, so that neither a missing nor an untrue Content-Length lets more in. */
export const readBody = async (c: Context, mebibytes: number): Promise<Uint8Array> => {
  const encoding = c.req.header('content-encoding') ?? 'identity';
  if (encoding !== 'identity') {
    throw new HTTPException(415, { message: 'The body is compressed; send it as it is' });
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of whole(c.req.raw.body)) {
    size += chunk.byteLength;
    if (size > mebibytes * MEBIBYTE) {
      throw new HTTPException(413, { message: `The body is over ${mebibytes} MiB` });
    }
    chunks.push(chunk);
    // A body that comes byte by byte would weigh hundreds of times what it holds.
    if (chunks.length === MAX_CHUNKS) chunks.splice(0, MAX_CHUNKS, Buffer.concat(chunks));
  }
  return Buffer.concat(chunks);
};

/** A caller who hangs up in the middle is no fault of ours. */
const whole = async function* (
  body: ReadableStream<Uint8Array> | null,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body ?? []) yield chunk;
  } catch (cause) {
    throw new HTTPException(400, { message: 'The body ended before its time', cause });
  }
};
