import { types } from 'node:util';
import { Agent, type Dispatcher } from 'undici';

import type { Span } from '../../observability/tracing.ts';

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
  /** On whose behalf it is made; looked at where requests are traced. */
  attempts?: readonly Span[] | undefined;
};

/**
 * POSTs over kept-alive connections. `timeoutMs` bounds the whole exchange, the answer read to its
 * end. undici at its lowest level: streams, `AbortSignal`s and `fetch` cost more.
 */
export const createHttp = ({
  timeoutMs,
  connections,
}: {
  timeoutMs: number;
  connections: number;
}) => {
  const agent = new Agent({ connections, connectTimeout: timeoutMs });
  const places = new Map<string, { origin: string; path: string }>();

  /** There are but two, and each is asked for over and over. */
  const read = (url: string) => {
    const known = places.get(url);
    if (known !== undefined) return known;
    const { origin, pathname, search } = new URL(url);
    const place = { origin, path: pathname + search };
    places.set(url, place);
    return place;
  };

  const post = ({ url, headers, body, abort }: Post): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { origin, path } = read(url);
      const text = createGrowingText();
      let status = 0;
      let retryAfterMs: number | undefined;
      let request: Dispatcher.DispatchController | undefined;
      let failure: Error | undefined;

      const settle = (): void => {
        clearTimeout(timer);
        abort?.removeEventListener('abort', onAbort);
      };
      /** Also before the request has a connection, and whether or not undici says so. */
      const fail = (err: Error): void => {
        settle();
        failure ??= err;
        request?.abort(failure);
        reject(failure);
      };
      const onAbort = (): void => fail(new NoAnswerError('aborted'));
      const timer = setTimeout(
        () => fail(new NoAnswerError(`no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      if (abort?.aborted) {
        onAbort();
        return;
      }
      abort?.addEventListener('abort', onAbort);

      const options = { origin, path, method: 'POST', headers, body } as const;
      agent.dispatch(options, {
        onRequestStart: (controller) => {
          request = controller;
          if (failure !== undefined) controller.abort(failure);
        },
        onResponseStart: (_, statusCode, answered) => {
          status = statusCode;
          retryAfterMs = parseRetryAfter(answered['retry-after'], Date.now());
        },
        onResponseData: (_, chunk) => {
          if (text.add(chunk) > MAX_ANSWER_BYTES) {
            fail(new NoAnswerError(`answer over ${MAX_ANSWER_BYTES} bytes`));
          }
        },
        onResponseEnd: () => {
          settle();
          resolve({
            status,
            body: text.whole(),
            ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
          });
        },
        onResponseError: (_, cause) =>
          fail(new NoAnswerError(reasonOf(cause), { cause, unsent: isUnsent(cause) })),
      });
    });

  return { post, close: () => agent.destroy() };
};

export type Http = ReturnType<typeof createHttp>;

/** However many chunks it comes in, they weigh no more than they hold. */
const createGrowingText = () => {
  let bytes = Buffer.alloc(0);
  let size = 0;
  return {
    /** Says how many bytes there are by now. */
    add: (chunk: Buffer): number => {
      if (size + chunk.byteLength > bytes.byteLength) {
        const larger = Buffer.allocUnsafe(Math.max(2 * size, size + chunk.byteLength));
        bytes.copy(larger, 0, 0, size);
        bytes = larger;
      }
      size += chunk.copy(bytes, size);
      return size;
    },
    whole: (): string => bytes.toString('utf8', 0, size),
  };
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
