import type { SeekError } from '../../schemas/seekApi.ts';

/** What came back from one request. Any answer is a value, never a throw. */
export type SendResult =
  | { kind: 'accepted' }
  /** A GraphQL answer with errors, whatever its HTTP status; of that only 429 and 5xx are told. */
  | { kind: 'refused'; errors: SeekError[]; status?: number; retryAfterMs?: number }
  /** An answer that is not GraphQL. */
  | { kind: 'unreadable'; status: number; retryAfterMs?: number }
  /** No answer at all. `unsent`: for want of a connection nothing was sent. */
  | { kind: 'unreachable'; reason: string; unsent: boolean }
  /** We let go of the request ourselves: the worker stops, or has lost the job's lock. */
  | { kind: 'aborted' };

export type Retry = { kind: 'retry'; code: string; reason: string; retryAfterMs?: number };
export type Dead = { kind: 'dead'; code: string; reason: string };

/** What we do next. */
export type Outcome = { kind: 'delivered' } | { kind: 'skipped'; reason: string } | Retry | Dead;

const UNAUTHENTICATED = 'UNAUTHENTICATED';

// Asking again cannot change these (developer.seek.com, "Error responses"). SEEK says that codes
// change and get added, so whatever is not listed is tried again rather than given up.
const PERMANENT_CODES = new Set(['BAD_USER_INPUT', 'FORBIDDEN']);

// A documentation token was sent with live credentials: no other partner token will make it right.
// The code that comes with it is not documented, so the message decides.
const PUBLIC_TEST_DATA = /public test data/i;

export const isPublicTestData = (message: string): boolean => PUBLIC_TEST_DATA.test(message);

const TRANSIENT_4XX = new Set([401, 408, 425, 429]);

export const classify = (result: Exclude<SendResult, { kind: 'aborted' }>): Outcome => {
  switch (result.kind) {
    case 'accepted':
      return { kind: 'delivered' };
    case 'refused':
      return classifyErrors(result.errors, result.retryAfterMs);
    case 'unreachable':
      return retry('UNREACHABLE', result.reason, undefined);
    case 'unreadable': {
      const { status, retryAfterMs } = result;
      const reason = `HTTP ${status} without a GraphQL answer`;
      return status >= 400 && status < 500 && !TRANSIENT_4XX.has(status)
        ? { kind: 'dead', code: `HTTP_${status}`, reason }
        : retry(`HTTP_${status}`, reason, retryAfterMs);
    }
  }
};

/** Whether a new partner token may help: asked once an attempt. */
export const isUnauthenticated = (result: SendResult): boolean =>
  (result.kind === 'refused' &&
    result.errors.some(({ extensions }) => extensions?.code === UNAUTHENTICATED)) ||
  (result.kind === 'unreadable' && result.status === 401);

// How GraphQL servers say that a schema has no such mutation. Ours is fixed, so nothing else can be meant.
const UNKNOWN_MUTATION = /cannot query field|unknown type|undefined field/i;

const REFUSED_DOCUMENTS = new Set(['GRAPHQL_VALIDATION_FAILED', 'GRAPHQL_PARSE_FAILED']);

/** Whether the server does not know `sendSignals`: it rejects the document, whatever the signals. */
export const isUnknownMutation = (result: SendResult): boolean =>
  result.kind === 'refused' &&
  result.errors.some(
    ({ message, extensions }) =>
      REFUSED_DOCUMENTS.has(extensions?.code ?? '') ||
      (/sendSignals/i.test(message) && UNKNOWN_MUTATION.test(message)),
  );

const classifyErrors = (errors: SeekError[], retryAfterMs: number | undefined): Outcome => {
  const isPermanent = ({ message, extensions }: SeekError) =>
    PERMANENT_CODES.has(extensions?.code ?? '') || isPublicTestData(message);
  // One error that may pass is reason enough to try again.
  const decisive = errors.find((error) => !isPermanent(error)) ?? errors[0];
  if (decisive === undefined) return retry('UNKNOWN', 'errors without an error', retryAfterMs);

  const code = oneLine(decisive.extensions?.code ?? 'UNKNOWN');
  const reason = describeError(decisive);
  return isPermanent(decisive) ? { kind: 'dead', code, reason } : retry(code, reason, retryAfterMs);
};

// It is kept with every attempt.
const MAX_REASON = 1_000;

const describeError = ({ message, extensions }: SeekError): string => {
  const fields = extensions?.invalidFields;
  const named =
    typeof fields === 'object' && fields !== null
      ? Object.entries(fields).map(([pointer, problem]) => `${pointer}: ${String(problem)}`)
      : [];
  const text = [message, ...named].filter((part) => part !== '').join('; ');
  return oneLine(text.slice(0, MAX_REASON).toWellFormed());
};

// In a list, whatever comes after a line break would be taken for the next signal.
const oneLine = (text: string): string => text.replace(/[\r\n\u2028\u2029]+/g, ' ');

const retry = (code: string, reason: string, retryAfterMs: number | undefined): Retry => ({
  kind: 'retry',
  code,
  reason,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

export type Life = {
  /** The attempt that was just made, from 1. */
  attempt: number;
  /** Since the signal was accepted or last redriven. */
  ageMs: number;
};

export type Bounds = { maxAttempts: number; maxAgeMs: number };

/** A retry with no attempts or no time left is a death. */
export const applyRetryLimits = (outcome: Outcome, life: Life, bounds: Bounds): Outcome => {
  if (outcome.kind !== 'retry') return outcome;
  const { code, reason } = outcome;
  if (life.attempt >= bounds.maxAttempts) {
    return { kind: 'dead', code, reason: `${reason} (given up after attempt ${life.attempt})` };
  }
  return life.ageMs >= bounds.maxAgeMs ? expired(outcome, life.ageMs) : outcome;
};

/** What has no time left is dead, whether or not its attempts are counted. */
export const expired = (last: Pick<Dead, 'code' | 'reason'>, ageMs: number): Dead => {
  return {
    kind: 'dead',
    code: last.code,
    reason: `${last.reason} (given up after ${describeAge(ageMs)})`,
  };
};

const HOUR_MS = 3_600_000;

const describeAge = (ms: number): string =>
  ms < HOUR_MS
    ? `${Math.round(ms / 1000)} seconds`
    : `${Math.round((10 * ms) / HOUR_MS) / 10} hours`;
