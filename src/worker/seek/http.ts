import { types } from 'node:util';
import { Agent, type Dispatcher } from 'undici';

import type { Span } from '../../observability/tracing.ts';
import { startTimeLimit } from '../../runtime/async.ts';
import { decodeBody, UndecodableError } from './decodeBody.ts';
import { createProxyAgent, ProxyError } from './proxy.ts';
import { createPool } from './skipContinue.ts';

const MAX_ANSWER_BYTES = 1024 * 1024;
// SEEK wants signals within a day, so a longer Retry-After must be a mistake.
const MAX_RETRY_AFTER_MS = 3 * 60 * 60 * 1000;

export type HttpAnswer = {
  status: number;
  body: string;
  /** Why the body could not be decoded. It is empty then. */
  undecoded?: string;
  retryAfterMs?: number;
};

/** No answer, or an incomplete one. The message contains no secret. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  /** No connection was made, so nothing of the request was sent. */
  readonly unsent: boolean;
  /** This process was frozen during the request, so the failure says nothing about the server. */
  readonly frozen: boolean;

  constructor(message: string, { cause, unsent = false, frozen = false }: NoAnswerOptions = {}) {
    super(message, { cause });
    this.unsent = unsent;
    this.frozen = frozen;
  }
}

type NoAnswerOptions = { cause?: unknown; unsent?: boolean; frozen?: boolean };

type Post = {
  url: string;
  headers: Record<string, string>;
  body: string;
  abort?: AbortSignal | undefined;
  /** The spans of the attempts that share this request. Only `traceHttp` reads them. */
  attempts?: readonly Span[] | undefined;
};

/**
 * Sends POST requests over keep-alive connections. `timeoutMs` covers the whole request, until the
 * answer is read completely. It uses undici's lowest level: streams, `AbortSignal` and `fetch` are
 * slower.
 */
export const createHttp = ({
  timeoutMs,
  connections,
  proxyFor = () => undefined,
}: {
  timeoutMs: number;
  connections: number;
  /** Returns the URL of the proxy for a URL. Default: no request uses a proxy. */
  proxyFor?: (url: string) => string | undefined;
}) => {
  // Without undici's own time limits for an answer, so that only ours decides, which knows of freezes.
  const direct = new Agent({
    connections,
    connectTimeout: timeoutMs,
    headersTimeout: 0,
    bodyTimeout: 0,
    factory: createPool,
  });
  const proxied = new Map<string, Dispatcher>();
  const agentFor = (proxy: string): Dispatcher => {
    const agent =
      proxied.get(proxy) ?? createProxyAgent({ proxy, timeoutMs, connections, describeCause });
    proxied.set(proxy, agent);
    return agent;
  };
  // The worker uses two URLs only, so each is parsed once.
  const targets = new Map<string, Target>();
  const targetOf = (url: string): Target => {
    const known = targets.get(url);
    if (known !== undefined) return known;
    const proxy = proxyFor(url);
    const target = {
      ...parseTarget(url),
      proxy,
      agent: proxy === undefined ? direct : agentFor(proxy),
    };
    targets.set(url, target);
    return target;
  };

  const post = ({ url, headers, body, abort }: Post): Promise<HttpAnswer> =>
    new Promise((resolve, reject) => {
      const { origin, path, agent, proxy } = targetOf(url);
      const answerBody = createBodyBuffer();
      let status = 0;
      let encoding: string | string[] | undefined;
      let retryAfterMs: number | undefined;
      let request: Dispatcher.DispatchController | undefined;
      let failure: Error | undefined;

      const cleanUp = (): void => {
        limit.clear();
        abort?.removeEventListener('abort', onAbort);
      };
      /** Rejects at once, also while the request has no connection yet: undici reports that later. */
      const fail = (err: Error): void => {
        cleanUp();
        failure ??= err;
        request?.abort(failure);
        reject(failure);
      };
      const onAbort = (): void => fail(new NoAnswerError('aborted'));
      const limit = startTimeLimit(timeoutMs, () =>
        fail(
          proxy !== undefined && request === undefined
            ? new NoAnswerError(
                `no connection through proxy ${new URL(proxy).host} within ${timeoutMs} ms`,
                { unsent: true, frozen: limit.wasFrozen() },
              )
            : new NoAnswerError(`no answer within ${timeoutMs} ms`, { frozen: limit.wasFrozen() }),
        ),
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
          encoding = answered['content-encoding'];
          retryAfterMs = parseRetryAfter(answered['retry-after'], Date.now());
        },
        onResponseData: (_, chunk) => {
          if (answerBody.add(chunk) > MAX_ANSWER_BYTES) {
            fail(new NoAnswerError(`answer over ${MAX_ANSWER_BYTES} bytes`));
          }
        },
        onResponseEnd: () => {
          cleanUp();
          const rest = retryAfterMs === undefined ? { status } : { status, retryAfterMs };
          if (encoding === undefined) resolve({ ...rest, body: answerBody.bytes().toString() });
          else resolve(decode(answerBody.bytes(), encoding).then((body) => ({ ...rest, ...body })));
        },
        onResponseError: (_, cause) =>
          fail(
            new NoAnswerError(describeCause(cause), {
              cause,
              unsent: isUnsent(cause),
              frozen: limit.wasFrozen(),
            }),
          ),
      });
    });

  return {
    post,
    close: async (): Promise<void> => {
      await Promise.all([direct, ...proxied.values()].map((agent) => agent.destroy()));
    },
  };
};

export type Http = ReturnType<typeof createHttp>;

type Target = { origin: string; path: string; proxy: string | undefined; agent: Dispatcher };

const parseTarget = (url: string): Pick<Target, 'origin' | 'path'> => {
  const { origin, pathname, search } = new URL(url);
  return { origin, path: pathname + search };
};

/**
 * Collects an answer in one buffer that doubles when it is full. A list of chunks would need far more
 * memory than the answer has bytes if SEEK sent it byte by byte.
 */
const createBodyBuffer = () => {
  let bytes = Buffer.alloc(0);
  let size = 0;
  return {
    /** Returns the number of bytes so far. */
    add: (chunk: Buffer): number => {
      if (size + chunk.byteLength > bytes.byteLength) {
        const larger = Buffer.allocUnsafe(Math.max(2 * size, size + chunk.byteLength));
        bytes.copy(larger, 0, 0, size);
        bytes = larger;
      }
      size += chunk.copy(bytes, size);
      return size;
    },
    bytes: (): Buffer => bytes.subarray(0, size),
  };
};

const decode = async (
  bytes: Buffer,
  encoding: string | string[],
): Promise<Pick<HttpAnswer, 'body' | 'undecoded'>> => {
  try {
    return { body: (await decodeBody(bytes, encoding, MAX_ANSWER_BYTES)).toString() };
  } catch (err) {
    if (!(err instanceof UndecodableError)) throw err;
    return { body: '', undecoded: err.message };
  }
};

const describeCause = (cause: unknown): string => {
  if (cause instanceof NoAnswerError || cause instanceof ProxyError) return cause.message;
  if (!types.isNativeError(cause)) return 'request failed';
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
  // An AggregateError: undici tried several addresses, and each failed.
  const inner = 'errors' in cause && Array.isArray(cause.errors) ? cause.errors[0] : undefined;
  return inner === undefined ? `request failed: ${code}` : describeCause(inner);
};

const NO_CONNECTION =
  /^(?:E(?:HOST|NET)UNREACH|ECONNREFUSED|ENOTFOUND|EAI_\w+|UND_ERR_CONNECT_TIMEOUT)$/;
// Error codes of TLS and OpenSSL.
const NO_TLS = /CERT|TLS|SSL|^EPROTO$|^UNABLE_TO_/;

const isUnsent = (cause: unknown): boolean => {
  if (cause instanceof ProxyError) return true;
  if (!types.isNativeError(cause)) return false;
  // An AggregateError: undici tried several addresses.
  if ('errors' in cause && Array.isArray(cause.errors)) return cause.errors.every(isUnsent);
  if (!('code' in cause)) return false;
  const code = String(cause.code);
  return NO_CONNECTION.test(code) || NO_TLS.test(code);
};

/** RFC 9110, section 10.2.3: seconds, or an HTTP date. `undefined`: none, invalid, or in the past. */
export const parseRetryAfter = (
  header: string | string[] | undefined,
  now: number,
): number | undefined => {
  const text = (Array.isArray(header) ? header[0] : header)?.trim();
  if (text === undefined) return undefined;
  const isDate = / GMT$/.test(text);
  const ms = isDate ? Date.parse(text) - now : /^\d+$/.test(text) ? Number(text) * 1000 : 0;
  return ms > 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : undefined;
};
