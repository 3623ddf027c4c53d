import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import * as z from 'zod';
import type { Logger } from '../../observability/logger.ts';
import { maskBody } from '../../observability/redact.ts';
import { CURSOR } from '../../queue/readDeadLetters.ts';
import { toInvalidFields } from '../../schemas/invalidFields.ts';

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

const WHOLE = 'Expected a whole number from 1';
export const count = z.coerce.number(WHOLE).int(WHOLE).min(1, WHOLE);

/** What a query asks for; 422 with every problem. */
export const readQuery = <Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
): z.infer<Schema> => {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  const invalidFields = toInvalidFields(parsed.error);
  throw new HTTPException(422, {
    res: Response.json({ message: 'Filter validation failed', invalidFields }, { status: 422 }),
  });
};

const instant = z.iso
  .datetime({ offset: true, error: 'Expected an RFC 3339 timestamp' })
  .pipe(z.coerce.date());

/** Which dead letters are meant. */
export const CountSchema = z.strictObject({
  code: z.string().optional(),
  type: z.string().optional(),
  since: instant.optional(),
  until: instant.optional(),
  applicationId: z.string().optional(),
  positionProfileId: z.string().optional(),
  text: z.string().optional(),
});

export const ListSchema = CountSchema.extend({
  limit: count.max(1000, 'Expected at most 1000').optional(),
  cursor: z.string().regex(CURSOR, 'Expected the nextCursor of a page').optional(),
});

export const ExportSchema = CountSchema.extend({ limit: count.optional() });

const dryRun = z
  .literal([true, false, 'true', 'false'], 'Expected true or false')
  .transform((value) => value === true || value === 'true')
  .optional();
const PER_SECOND = 'Expected a number from 0.1 to 1000';
const rate = z.coerce.number(PER_SECOND).min(0.1, PER_SECOND).max(1000, PER_SECOND).optional();

export const RedriveSchema = ExportSchema.extend({ rate, dryRun });
export const RedriveOneSchema = z.strictObject({ dryRun });
