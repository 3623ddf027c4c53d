import { GraphQLClient } from 'graphql-request';
import type { Logger } from '../../observability/logger.ts';
import { createRedactor, maskBody, redactBody } from '../../observability/redact.ts';
import type { Span } from '../../observability/tracing.ts';
import { isObject } from '../../schemas/json.ts';
import { type SeekError, SeekErrorSchema, toMutation } from '../../schemas/seekApi.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { SendResult } from './classify.ts';
import { type Answer, type Http, NoAnswerError } from './http.ts';

export type SendRequest = {
  /** One goes by `sendSignal`, several share a `sendSignals`. */
  signals: readonly SeekSignal[];
  partnerToken: string;
  /** A fresh UUID for every request: SEEK finds it again by this. */
  requestId: string;
  abort?: AbortSignal | undefined;
  /** Of the signals, where they are traced. */
  attempts?: readonly Span[] | undefined;
};

type Deps = {
  http: Pick<Http, 'post'>;
  apiUrl: string;
  userAgent: string;
  /** Whatever else may not be shown, should SEEK's answer repeat it. */
  secrets: () => readonly string[];
  logger: Logger;
  logBodies: boolean;
  /** Called with the seconds that each request took, answered or not. */
  onRequest?: (seconds: number) => void;
};

/** One request to SEEK. Whatever comes back is a value, with no secret in it. */
export const createSeekClient =
  (deps: Deps) =>
  async ({ signals, partnerToken, requestId, ...request }: SendRequest): Promise<SendResult> => {
    const { apiUrl, userAgent } = deps;
    const { abort, attempts } = request;
    const tokens = signals.flatMap(({ token }) => (token === undefined ? [] : [token]));
    const secrets = [partnerToken, ...tokens, ...deps.secrets()];
    const { query, variables } = toMutation(signals);
    const startedAt = performance.now();
    const headers = {
      ...{ accept: ACCEPT, 'content-type': 'application/json' },
      authorization: `Bearer ${partnerToken}`,
      ...{ 'user-agent': userAgent, 'x-request-id': requestId },
    };
    let answer: Answer | undefined;
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
      // Success is documented as no errors, not as a value; but an answer without `data` is none.
      return typeof data === 'object' && data !== null ? { kind: 'accepted' } : unreadable(answer);
    } catch (err) {
      if (err instanceof NoAnswerError) {
        if (abort?.aborted) return { kind: 'aborted' };
        return { kind: 'unreachable', reason: err.message, unsent: err.unsent };
      }
      // Not from the error thrown, which repeats all of the answer and fails at one nested too deep.
      const errors = readErrors(parsed?.errors, secrets);
      // A 401 whose errors say nothing of themselves means what the status says.
      const isBare401 = answer?.status === 401 && errors?.every((error) => !error.extensions?.code);
      return errors === undefined || isBare401
        ? unreadable(answer, err)
        : { kind: 'refused', errors, ...statusOf(answer), ...retryAfter(answer) };
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
 * As much of a response as graphql-request looks at, for a real one is costly to build and to read. It
 * reads JSON only under a content type that says so; SEEK's is not to be relied on.
 */
const toResponse = ({ status, body }: Answer): Response =>
  // A real one stands behind it for its type's sake alone: to build or copy one costs more than all the rest.
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
 * One answer, not a list of them, which graphql-request would take for the answers to a batch; and
 * without `errors: null`, which it would take for an error.
 */
const parseAnswer = (text: string): Record<string, unknown> => {
  const answer: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
  if (!isObject(answer)) throw new TypeError('not an object');
  const { errors, ...rest } = answer;
  return errors === null || errors === undefined ? rest : { errors, ...rest };
};

// Only these say something beside the errors: that our rate is limited, or that a server is in trouble.
const statusOf = (answer: Answer | undefined) =>
  answer !== undefined && (answer.status === 429 || answer.status >= 500)
    ? { status: answer.status }
    : {};

const retryAfter = (answer: Answer | undefined) =>
  answer?.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs };

// Without an answer to blame it is a fault of ours, and must not pass for one of SEEK's.
const unreadable = (answer: Answer | undefined, cause?: unknown): SendResult => {
  if (answer === undefined) throw new Error('The request failed before it was made', { cause });
  return { kind: 'unreadable', status: answer.status, ...retryAfter(answer) };
};

/** The errors of an answer that can be read, with no secret in them; `undefined`: there are none. */
export const readErrors = (
  errors: unknown,
  secrets: readonly string[],
): SeekError[] | undefined => {
  if (!Array.isArray(errors)) return undefined;
  const clean = createCleaner(secrets);
  const readable = errors.flatMap((error) => {
    const parsed = SeekErrorSchema.safeParse(error);
    return parsed.success ? [clean(parsed.data)] : [];
  });
  return readable.length > 0 ? readable : undefined;
};

// These are judged by, and tell of no secret: a token that happens to be part of one masks no code.
const CODES = new Set(
  ['UNAUTHENTICATED', 'FORBIDDEN', 'BAD_USER_INPUT', 'RATE_LIMITED'].concat([
    'INTERNAL_SERVER_ERROR',
    'GRAPHQL_VALIDATION_FAILED',
    'GRAPHQL_PARSE_FAILED',
  ]),
);

// Both are kept: the one with every attempt, the other in the log.
const MAX_CODE = 100;
const MAX_INVALID_FIELDS = 1_000;

/** Masks secrets in what an error says; what it is judged by keeps its place and its shape. */
const createCleaner = (secrets: readonly string[]) => {
  const redactor = createRedactor(secrets);
  const toText = (problem: unknown): string =>
    typeof problem === 'string' ? redactor.text(problem) : JSON.stringify(redactor.value(problem));
  const cleanFields = (fields: unknown): unknown =>
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
        ...(code === undefined
          ? {}
          : {
              code: CODES.has(code) ? code : redactor.text(code).slice(0, MAX_CODE).toWellFormed(),
            }),
        ...(invalidFields === undefined ? {} : { invalidFields: cleanFields(invalidFields) }),
      },
    };
  };
};
