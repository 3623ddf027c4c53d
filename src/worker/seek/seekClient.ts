import { GraphQLClient } from 'graphql-request';
import type { Logger } from '../../observability/logger.ts';
import { createRedactor, maskBody, redact, redactBody } from '../../observability/redact.ts';
import type { Span } from '../../observability/tracing.ts';
import { isObject } from '../../schemas/json.ts';
import { type SeekError, SeekErrorSchema, toMutation } from '../../schemas/seekApi.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { SeekAnswer } from '../../schemas/signalJob.ts';
import { oneLine, type SendResult } from './classify.ts';
import { type Http, type HttpAnswer, NoAnswerError } from './http.ts';

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
      'content-type': 'application/json',
      authorization: `Bearer ${partnerToken}`,
      'user-agent': userAgent,
      'x-request-id': requestId,
    };
    let answer: HttpAnswer | undefined;
    let parsed: Record<string, unknown> | undefined;

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
      // SEEK documents success as the absence of errors, not as a value. But `data` must be there.
      if (!isObject(data)) return unreadable(answer);
      const value = data[signals.length === 1 ? 'sendSignal' : 'sendSignals'];
      return value === true
        ? { kind: 'accepted' }
        : { kind: 'accepted', unconfirmed: describeValue(value, secrets) };
    } catch (err) {
      if (err instanceof NoAnswerError) {
        if (abort?.aborted) return { kind: 'aborted' };
        return { kind: 'unreachable', reason: err.message, unsent: err.unsent };
      }
      return toFailure(answer, readErrors(parsed?.errors, secrets), err);
    } finally {
      deps.onRequest?.((performance.now() - startedAt) / 1000);
      if (deps.logBodies) {
        const body = answer === undefined ? undefined : redactBody(answer.body, secrets);
        const request = maskBody({ query, variables });
        deps.logger.info(
          { requestId, request, status: answer?.status, answer: body },
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
const EMPTY = new Response();
const JSON_HEADERS = new Headers({ 'content-type': 'application/json' });

/**
 * Parses one answer. It rejects a list, which graphql-request would read as the answers to a batch. It
 * removes `errors: null`, which graphql-request would read as an error.
 */
const parseAnswer = (text: string): Record<string, unknown> => {
  const answer: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
  if (!isObject(answer)) throw new TypeError('not an object');
  const { errors, ...rest } = answer;
  return errors === null || errors === undefined ? rest : { errors, ...rest };
};

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
    ? unreadable(answer, cause)
    : { kind: 'refused', errors, ...statusOf(answer), ...retryAfter(answer) };
};

// Only these statuses add something to the errors: our rate is limited, or a server fails.
const statusOf = (answer: HttpAnswer | undefined) =>
  answer !== undefined && (answer.status === 429 || answer.status >= 500)
    ? { status: answer.status }
    : {};

const retryAfter = (answer: HttpAnswer | undefined) =>
  answer?.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs };

// Every attempt stores it.
const MAX_VALUE_LENGTH = 100;

/** The value of a mutation as an attempt stores it: a primitive, or the JSON type of anything else. */
const describeValue = (value: unknown, secrets: readonly string[]): SeekAnswer => {
  switch (typeof value) {
    case 'undefined':
      return 'absent';
    case 'boolean':
      return value;
    case 'number':
      // JSON reads 1e999 as infinity, which it cannot write.
      return Number.isFinite(value) ? value : 'number';
    case 'string':
      return oneLine(redact(value, secrets).slice(0, MAX_VALUE_LENGTH).toWellFormed());
    default:
      if (value === null) return null;
      return Array.isArray(value) ? 'array' : 'object';
  }
};

// Without an answer the error is our own bug. It must not look like an answer from SEEK.
const unreadable = (answer: HttpAnswer | undefined, cause?: unknown): SendResult => {
  if (answer === undefined) {
    throw new Error('Expected an answer from SEEK, but the request failed before it was sent', {
      cause,
    });
  }
  return { kind: 'unreadable', status: answer.status, ...retryAfter(answer) };
};

/** The errors of an answer that can be read, with secrets masked. `undefined`: there are none. */
export const readErrors = (
  errors: unknown,
  secrets: readonly string[],
): SeekError[] | undefined => {
  if (!Array.isArray(errors)) return undefined;
  const maskSecrets = createErrorMasker(secrets);
  const readable = errors.flatMap((error) => {
    const parsed = SeekErrorSchema.safeParse(error);
    return parsed.success ? [maskSecrets(parsed.data)] : [];
  });
  return readable.length > 0 ? readable : undefined;
};

// Outcomes depend on these codes, and they are no secrets. So they are never masked, not even when a
// seek token happens to be a part of one.
const KNOWN_CODES = new Set([
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_USER_INPUT',
  'RATE_LIMITED',
  'INTERNAL_SERVER_ERROR',
  'GRAPHQL_VALIDATION_FAILED',
  'GRAPHQL_PARSE_FAILED',
]);

// Every attempt stores its code, and the log gets the invalid fields.
const MAX_CODE_LENGTH = 100;
const MAX_INVALID_FIELDS = 1_000;

/** Masks secrets in an error. `code` and `invalidFields` keep their place and their shape. */
const createErrorMasker = (secrets: readonly string[]) => {
  const redactor = createRedactor(secrets);
  const maskCode = (code: string): string =>
    KNOWN_CODES.has(code) ? code : redactor.text(code).slice(0, MAX_CODE_LENGTH).toWellFormed();
  const toText = (problem: unknown): string =>
    typeof problem === 'string' ? redactor.text(problem) : JSON.stringify(redactor.value(problem));
  const maskFields = (fields: unknown): unknown =>
    typeof fields === 'object' && fields !== null && !Array.isArray(fields)
      ? Object.fromEntries(
          Object.entries(fields)
            .slice(0, MAX_INVALID_FIELDS)
            .map(([pointer, problem]) => [redactor.text(pointer), toText(problem)]),
        )
      : redactor.value(fields);

  return ({ message, extensions }: SeekError): SeekError => {
    if (extensions === undefined) return { message: redactor.text(message) };
    const { code, invalidFields, ...rest } = extensions;
    const others = Object.entries(rest).map(([key, value]) => [
      redactor.text(key),
      redactor.value(value),
    ]);
    return {
      message: redactor.text(message),
      extensions: {
        ...Object.fromEntries(others),
        ...(code === undefined ? {} : { code: maskCode(code) }),
        ...(invalidFields === undefined ? {} : { invalidFields: maskFields(invalidFields) }),
      },
    };
  };
};
