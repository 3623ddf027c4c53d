import { GraphQLClient } from 'graphql-request';
import { boundValue } from '../../observability/boundValue.ts';
import type { Logger } from '../../observability/logger.ts';
import { maskBody, redactBody } from '../../observability/redact.ts';
import type { Span } from '../../observability/tracing.ts';
import { isObject } from '../../schemas/json.ts';
import { type SeekError, toMutation } from '../../schemas/seekApi.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { SendResult } from './classify.ts';
import { type Http, type HttpAnswer, NoAnswerError } from './http.ts';
import { describeValue, parseAnswer, readErrors } from './readAnswer.ts';

export type SendRequest = {
  /** One signal is sent by `sendSignal`, several by `sendSignals`. */
  signals: readonly SeekSignal[];
  partnerToken: string;
  /** A new UUID for every request. SEEK's support finds the request by it. */
  requestId: string;
  abort?: AbortSignal | undefined;
  /** The spans of the signals' attempts. Absent where attempts are not traced. */
  attempts?: readonly Span[] | undefined;
};

type Deps = {
  http: Pick<Http, 'post'>;
  apiUrl: string;
  userAgent: string;
  /** Further secrets to mask, in case SEEK's answer repeats them. */
  secrets: () => readonly string[];
  logger: Logger;
  logBodies: boolean;
  /** Called with the duration of each request in seconds, whether or not SEEK answered. */
  onRequest?: (seconds: number) => void;
};

/** Sends one request to SEEK. Every answer becomes a value that contains no secret. */
export const createSeekClient =
  (deps: Deps) =>
  async ({
    signals,
    partnerToken,
    requestId,
    abort,
    attempts,
  }: SendRequest): Promise<SendResult> => {
    const { apiUrl, userAgent } = deps;
    const tokens = signals.flatMap(({ token }) => (token === undefined ? [] : [token]));
    const secrets = [partnerToken, ...tokens, ...deps.secrets()];
    const { query, variables } = toMutation(signals);
    const startedAt = performance.now();
    const headers = {
      accept: ACCEPT,
      // Answers are short. One that is compressed nevertheless is decoded.
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      authorization: `Bearer ${partnerToken}`,
      'user-agent': userAgent,
      'x-request-id': requestId,
    };
    let answer: HttpAnswer | undefined;
    let parsed: ReturnType<typeof parseAnswer> | undefined;

    const client = new GraphQLClient(apiUrl, {
      excludeOperationName: true,
      jsonSerializer: {
        stringify: JSON.stringify,
        parse: (text: string) => {
          parsed = parseAnswer(text);
          return parsed;
        },
      },
      fetch: async (_url, init) => {
        const body = String(init?.body);
        answer = await deps.http.post({ url: apiUrl, headers, body, abort, attempts });
        return toResponse(answer);
      },
    });

    try {
      const { data } = await client.rawRequest<unknown>(query, variables);
      // SEEK documents success as the absence of errors, not as a value. But an answer without the field
      // that was asked for says nothing about the signals.
      const field = signals.length === 1 ? 'sendSignal' : 'sendSignals';
      if (!isObject(data)) return unreadable(answer);
      if (!Object.hasOwn(data, field)) return unreadable(answer, { detail: `no data.${field}` });
      const value = data[field];
      return value === true
        ? { kind: 'accepted' }
        : { kind: 'accepted', unconfirmed: describeValue(value, secrets) };
    } catch (err) {
      if (err instanceof NoAnswerError) {
        if (abort?.aborted) return { kind: 'aborted' };
        const frozen = err.frozen ? { frozen: true as const } : {};
        return { kind: 'unreachable', reason: err.message, unsent: err.unsent, ...frozen };
      }
      return toFailure(answer, readErrors(parsed?.errors, secrets), err);
    } finally {
      deps.onRequest?.((performance.now() - startedAt) / 1000);
      if (deps.logBodies) {
        // Redacted before it is cut, or the start of a secret would stay.
        const body = answer === undefined ? undefined : redactBody(answer.body, secrets);
        const request = boundValue(maskBody({ query, variables }), MAX_LOGGED_REQUEST);
        deps.logger.info(
          {
            requestId,
            request,
            status: answer?.status,
            answer: boundValue(body, MAX_LOGGED_ANSWER),
          },
          'seek.exchange',
        );
      }
    }
  };

export type SeekClient = ReturnType<typeof createSeekClient>;

/**
 * A stand-in for `Response` with the members that graphql-request uses. A real one is slow to build
 * and to read. graphql-request parses JSON only under a JSON content type, and SEEK's may be another,
 * so it is fixed here.
 */
const toResponse = ({ status, body }: HttpAnswer): Response =>
  // The prototype is there for the type only.
  Object.setPrototypeOf(
    {
      status,
      ok: status >= 200 && status <= 299,
      headers: JSON_HEADERS,
      text: async () => body,
    },
    EMPTY,
  );

const ACCEPT = 'application/graphql-response+json, application/json';
// With LOG_BODIES, in characters. A batch of a hundred usual signals fits.
const MAX_LOGGED_REQUEST = 64_000;
const MAX_LOGGED_ANSWER = 16_000;

const EMPTY = new Response();
const JSON_HEADERS = new Headers({ 'content-type': 'application/json' });

/**
 * The result of a request that graphql-request rejected. `errors` come from the parsed answer, not from
 * its error: that repeats the whole answer, and building it fails for deeply nested ones.
 */
const toFailure = (
  answer: HttpAnswer | undefined,
  errors: SeekError[] | undefined,
  cause: unknown,
): SendResult => {
  // A 401 whose errors have no codes means what its status means.
  const isBare401 = answer?.status === 401 && errors?.every((error) => !error.extensions?.code);
  return errors === undefined || isBare401
    ? unreadable(answer, { cause })
    : { kind: 'refused', errors, ...statusOf(answer), ...retryAfter(answer) };
};

// Only these statuses add something to the errors: our rate is limited, or a server fails.
const statusOf = (answer: HttpAnswer | undefined) =>
  answer !== undefined && (answer.status === 429 || answer.status >= 500)
    ? { status: answer.status }
    : {};

const retryAfter = (answer: HttpAnswer | undefined) =>
  answer?.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs };

// Without an answer the error is our own bug. It must not look like an answer from SEEK.
const unreadable = (
  answer: HttpAnswer | undefined,
  { detail = answer?.undecoded, cause }: { detail?: string; cause?: unknown } = {},
): SendResult => {
  if (answer === undefined) {
    throw new Error('Expected an answer from SEEK, but the request failed before it was sent', {
      cause,
    });
  }
  return {
    kind: 'unreadable',
    status: answer.status,
    ...(detail === undefined ? {} : { detail }),
    ...retryAfter(answer),
  };
};
