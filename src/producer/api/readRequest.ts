import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import * as z from 'zod';
import { boundValue } from '../../observability/boundValue.ts';
import type { Logger } from '../../observability/logger.ts';
import { maskBody } from '../../observability/redact.ts';
import { CURSOR_PATTERN } from '../../queue/readDeadLetters.ts';
import { type InvalidFields, toInvalidFields } from '../../schemas/invalidFields.ts';
import { isObject } from '../../schemas/json.ts';
import type { HeldBytes } from './bodyBudget.ts';
import { countValues } from './countValues.ts';

const MEBIBYTE = 1024 * 1024;
const MAX_CHUNKS = 1_000;
// Each value takes memory of its own, however short its text.
const BYTES_PER_VALUE = 64;
// With the largest body, as much as large requests may hold together.
const MAX_SHAPE_BYTES = 4 * MEBIBYTE;
// With LOG_BODIES, in characters.
const MAX_LOGGED_BODY = 64_000;

// Fatal, because a replacement character would silently change a token.
const decoder = new TextDecoder('utf-8', { fatal: true });

type Options = {
  mebibytes: number;
  /** If set, the masked body is logged. */
  logger?: Logger | undefined;
  /** The value of an empty body; without it, an empty body is rejected. */
  ifEmpty?: unknown;
};

/**
 * Reads the body as JSON. Responds 413 if it is too large, 415 if it is compressed, 400 if it is not
 * JSON. The message of the JSON parser is not passed on, because it quotes the body.
 */
export const readJson = async (c: Context, options: Options): Promise<unknown> => {
  const { mebibytes, logger, ifEmpty } = options;
  const bytes = await readBody(c, mebibytes);
  if (bytes.byteLength === 0 && ifEmpty !== undefined) return ifEmpty;
  countShape(c, bytes);
  const body = parse(bytes);
  logger?.info({ path: c.req.path, body: describeBody(body) }, 'api.request');
  return body;
};

/** An id of the ATS's own in the path, and the error for an invalid one. */
export type PathId = {
  name: string;
  schema: z.ZodType<string>;
  InvalidError: new (invalidFields: InvalidFields) => Error;
};

export const readPathId = (c: Context, { name, schema, InvalidError }: PathId): string => {
  const parsed = schema.safeParse(c.req.param(name));
  if (parsed.success) return parsed.data;
  const { '': problem = 'Is invalid' } = toInvalidFields(parsed.error);
  throw new InvalidError({ [`/${name}`]: problem });
};

/** The JSON body with the id of the path. An id in the body too could be a different one, and is rejected. */
export const readJsonOf = async (c: Context, pathId: PathId): Promise<unknown> => {
  const { name, InvalidError } = pathId;
  const body = await readJson(c, { mebibytes: 1 });
  const id = readPathId(c, pathId);
  if (!isObject(body)) return body;
  if (name in body) throw new InvalidError({ [`/${name}`]: 'Unknown field' });
  return { ...body, [name]: id };
};

/** Counts what the values take beside the bytes of the body: a large one of tiny values is read alone. */
const countShape = (c: Context, bytes: Uint8Array): void => {
  const heldBytes: HeldBytes | undefined = c.get('heldBytes');
  const shapeBytes = Math.min(countValues(bytes) * BYTES_PER_VALUE, MAX_SHAPE_BYTES);
  if (heldBytes?.take(shapeBytes) === false) throw new TooManyBytesError();
};

const parse = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    throw new HTTPException(400, { message: 'The body is not JSON in UTF-8' });
  }
};

// JSON.parse has no limit of depth, but masking a deeply nested value overflows the stack. The request
// goes on.
const describeBody = (body: unknown): unknown => {
  try {
    return boundValue(maskBody(body), MAX_LOGGED_BODY);
  } catch (err) {
    if (err instanceof RangeError) return '[nested too deeply to log]';
    throw err;
  }
};

/** The bodies in flight are too large together. */
export class TooManyBytesError extends Error {
  override readonly name = 'TooManyBytesError';

  constructor() {
    super('The API handles too many large requests at once; send this one again');
  }
}

/**
 * Reads the body. Responds 413 if it is too large, and 503 if the bodies in flight are. A body of a known
 * length is counted before it is read, another one while it is read.
 */
export const readBody = async (c: Context, mebibytes: number): Promise<Uint8Array> => {
  const encoding = c.req.header('content-encoding') ?? 'identity';
  if (encoding !== 'identity') {
    throw new HTTPException(415, { message: 'The body is compressed; send it uncompressed' });
  }
  const heldBytes: HeldBytes | undefined = c.get('heldBytes');
  let counted = 0;
  const count = (bytes: number): void => {
    if (bytes > mebibytes * MEBIBYTE) {
      throw new HTTPException(413, { message: `The body is over ${mebibytes} MiB` });
    }
    if (bytes <= counted) return;
    if (heldBytes?.take(bytes - counted) === false) throw new TooManyBytesError();
    counted = bytes;
  };
  count(Number(c.req.header('content-length') ?? 0));
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of readChunks(c.req.raw.body)) {
    size += chunk.byteLength;
    count(size);
    chunks.push(chunk);
    // Chunks of one byte each would need hundreds of times the memory of their content.
    if (chunks.length === MAX_CHUNKS) chunks.splice(0, MAX_CHUNKS, Buffer.concat(chunks));
  }
  return Buffer.concat(chunks);
};

/** A client that disconnects is a client error (400), not an internal error. */
const readChunks = async function* (
  body: ReadableStream<Uint8Array> | null,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body ?? []) yield chunk;
  } catch (cause) {
    throw new HTTPException(400, { message: 'The body ended early', cause });
  }
};

const NOT_A_COUNT = 'Expected a whole number from 1';
export const count = z.coerce.number(NOT_A_COUNT).int(NOT_A_COUNT).min(1, NOT_A_COUNT);

/** Validates query parameters. Responds 422 with all problems. */
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

/** The filter of dead letters. */
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
  cursor: z.string().regex(CURSOR_PATTERN, 'Expected the nextCursor of a page').optional(),
});

export const ExportSchema = CountSchema.extend({ limit: count.optional() });

const dryRun = z
  .literal([true, false, 'true', 'false'], 'Expected true or false')
  .transform((value) => value === true || value === 'true')
  .optional();
const NOT_A_RATE = 'Expected a number from 0.1 to 1000';
const rate = z.coerce.number(NOT_A_RATE).min(0.1, NOT_A_RATE).max(1000, NOT_A_RATE).optional();

export const RedriveSchema = ExportSchema.extend({ rate, dryRun });
export const RedriveOneSchema = z.strictObject({ dryRun });
