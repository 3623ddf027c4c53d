import { types } from 'node:util';
import { Agent, request } from 'undici';

const MAX_ANSWER_BYTES = 1024 * 1024;
// SEEK wants signals within a day: who asks for more than this has made a mistake.
const LONGEST_RETRY_AFTER_MS = 3 * 60 * 60 * 1000;

export type Answer = { status: number; body: string; retryAfterMs?: number };

/** No answer, or none that could be read to its end. The message is safe to show. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  /** There was no connection, so nothing of the request was sent. */
  readonly unsent: boolean;

  constructor(message: string, options: { cause?: unknown; unsent?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.unsent = options.unsent ?? false;
  }
}

type Post = {
  url: string;
  headers: Record<string, string>;
  body: string;
  abort?: AbortSignal | undefined;
};

/**
 * POSTs over kept-alive connections. `timeoutMs` bounds the whole exchange, the answer read to its
 * end. undici bare, for it costs a fraction of what any `fetch` does.
 */
export const createHttp = ({
  timeoutMs,
  connections,
}: {
  timeoutMs: number;
  connections: number;
}) => {
  const agent = new Agent({ connections, connectTimeout: timeoutMs });

  const post = async ({ url, headers, body, abort }: Post): Promise<Answer> => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = abort === undefined ? timeout : AbortSignal.any([abort, timeout]);
    try {
      const answer = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers,
        body,
        signal,
      });
      const retryAfterMs = parseRetryAfter(answer.headers['retry-after'], Date.now());
      return {
        status: answer.statusCode,
        body: await readAll(answer.body),
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      };
    } catch (cause) {
      const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(cause);
      throw new NoAnswerError(reason, { cause, unsent: isUnsent(cause) });
    }
  };

  return { post, close: () => agent.destroy() };
};

export type Http = ReturnType<typeof createHttp>;

const readAll = async (stream: AsyncIterable<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.byteLength;
    // Leaving the loop destroys the stream, and with it the connection.
    if (size > MAX_ANSWER_BYTES) throw new NoAnswerError(`answer over ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

const reasonOf = (cause: unknown): string => {
  if (cause instanceof NoAnswerError) return cause.message;
  if (!types.isNativeError(cause)) return 'request failed';
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
  // Several addresses were tried, and each of them failed.
  const inner = 'errors' in cause && Array.isArray(cause.errors) ? cause.errors[0] : undefined;
  return inner === undefined ? `request failed: ${code}` : reasonOf(inner);
};

const NO_CONNECTION =
  /^(?:E(?:HOST|NET)UNREACH|ECONNREFUSED|ENOTFOUND|EAI_\w+|UND_ERR_CONNECT_TIMEOUT)$/;
// What TLS and OpenSSL call their errors.
const NO_TLS = /CERT|TLS|SSL|^EPROTO$|^UNABLE_TO_/;

const isUnsent = (cause: unknown): boolean => {
  if (!types.isNativeError(cause)) return false;
  // Several addresses were tried.
  if ('errors' in cause && Array.isArray(cause.errors)) return cause.errors.every(isUnsent);
  if (!('code' in cause)) return false;
  const code = String(cause.code);
  return NO_CONNECTION.test(code) || NO_TLS.test(code);
};

/** RFC 9110, 10.2.3: seconds, or an HTTP date. Bounded, for it comes from outside. */
export const parseRetryAfter = (
  header: string | string[] | undefined,
  now: number,
): number | undefined => {
  const text = (Array.isArray(header) ? header[0] : header)?.trim();
  if (text === undefined) return undefined;
  const isDate = / GMT$/.test(text);
  const ms = isDate ? Date.parse(text) - now : /^\d+$/.test(text) ? Number(text) * 1000 : 0;
  return ms > 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : undefined;
};
