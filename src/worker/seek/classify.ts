import type { SeekError } from '../../schemas/seekApi.ts';
import type { SeekAnswer } from '../../schemas/signalJob.ts';

/** The result of one request to SEEK. Every answer is a value; none is thrown. */
export type SendResult =
  /** An answer without errors. `unconfirmed`: the value of the mutation, if it is not `true`. */
  | { kind: 'accepted'; unconfirmed?: SeekAnswer }
  /** A GraphQL answer with errors, under any HTTP status. `status` is set for 429 and 5xx only. */
  | { kind: 'refused'; errors: SeekError[]; status?: number; retryAfterMs?: number }
  /** An answer that is not GraphQL, or does not hold what was asked for. `detail`: what is wrong with it. */
  | { kind: 'unreadable'; status: number; detail?: string; retryAfterMs?: number }
  /**
   * No answer. `unsent`: no connection was made, so nothing was sent. `frozen`: this process was frozen
   * during the request.
   */
  | { kind: 'unreachable'; reason: string; unsent: boolean; frozen?: true }
  /** We aborted the request: the worker stops, or has lost the job's lock. */
  | { kind: 'aborted' };

export type Retry = {
  kind: 'retry';
  code: string;
  reason: string;
  retryAfterMs?: number;
  /** After so many attempts in a row that end with a status of a gateway, the signal is at fault. */
  maxInARow?: number;
};
export type Dead = { kind: 'dead'; code: string; reason: string };

/** What becomes of the signal after an attempt. */
export type Outcome = { kind: 'delivered' } | { kind: 'skipped'; reason: string } | Retry | Dead;

const UNAUTHENTICATED = 'UNAUTHENTICATED';

// A retry cannot change these (developer.seek.com, "Error responses"). SEEK announces that codes
// change and are added, so a code that is not listed here is retried.
const PERMANENT_CODES = new Set(['BAD_USER_INPUT', 'FORBIDDEN']);

// A token from SEEK's documentation was sent with live credentials. No other partner token helps. The
// code of this error is not documented, so we recognise it by its message.
const PUBLIC_TEST_DATA = /public test data/i;

export const isPublicTestData = (message: string): boolean => PUBLIC_TEST_DATA.test(message);

const TRANSIENT_4XX = new Set([401, 408, 425, 429]);
const CONTENT_TOO_LARGE = 413;

// A gateway, a proxy or a firewall wrote any other 4xx without GraphQL. It may answer so for minutes,
// whatever the signal; or it may object to what one signal holds. With the default backoff, eight
// attempts take four minutes.
const MAX_GATEWAY_ATTEMPTS = 8;

const isOfGateway = (status: number): boolean =>
  status >= 400 && status < 500 && !TRANSIENT_4XX.has(status);

/** Whether a code is that of an answer which a gateway wrote, as `classify` sets it. */
export const isGatewayCode = (code: string | undefined): boolean =>
  code !== undefined && /^HTTP_\d{3}$/.test(code) && isOfGateway(Number(code.slice(-3)));

/** Whether a gateway may have refused the partner token, so that a new one may help. */
export const mayRefuseToken = (result: SendResult): boolean =>
  result.kind === 'unreadable' && isOfGateway(result.status) && result.status !== CONTENT_TOO_LARGE;

export const classify = (result: Exclude<SendResult, { kind: 'aborted' }>): Outcome => {
  switch (result.kind) {
    case 'accepted':
      // Also without `true`: SEEK documents no meaning of the value, only that success has no errors.
      return { kind: 'delivered' };
    case 'refused':
      return classifyErrors(result.errors, result.retryAfterMs);
    case 'unreachable':
      return retry('UNREACHABLE', result.reason, undefined);
    case 'unreadable': {
      const { status, detail, retryAfterMs } = result;
      const reason = `HTTP ${status} without a GraphQL answer${detail === undefined ? '' : `: ${detail}`}`;
      const code = `HTTP_${status}`;
      const outcome = retry(code, reason, retryAfterMs);
      return isOfGateway(status) ? { ...outcome, maxInARow: MAX_GATEWAY_ATTEMPTS } : outcome;
    }
  }
};

/** Whether SEEK rejected the partner token, so that a new one may help. */
export const isUnauthenticated = (result: SendResult): boolean =>
  (result.kind === 'refused' &&
    result.errors.some(({ extensions }) => extensions?.code === UNAUTHENTICATED)) ||
  (result.kind === 'unreadable' && result.status === 401);

// How GraphQL servers report that the schema has no such mutation. Our document is fixed, so these
// messages cannot mean anything else.
const UNKNOWN_MUTATION = /cannot query field|unknown type|undefined field/i;

const REFUSED_DOCUMENTS = new Set(['GRAPHQL_VALIDATION_FAILED', 'GRAPHQL_PARSE_FAILED']);

/** Whether the server has no `sendSignals`: then it rejects the document, not the signals. */
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
  // One transient error is enough to retry.
  const decisive = errors.find((error) => !isPermanent(error)) ?? errors[0];
  if (decisive === undefined) return retry('UNKNOWN', 'empty list of errors', retryAfterMs);

  const code = oneLine(decisive.extensions?.code ?? 'UNKNOWN');
  const reason = describeError(decisive);
  return isPermanent(decisive) ? { kind: 'dead', code, reason } : retry(code, reason, retryAfterMs);
};

// Every attempt stores its reason.
const MAX_REASON_LENGTH = 1_000;

const describeError = ({ message, extensions }: SeekError): string => {
  const fields = extensions?.invalidFields;
  const named =
    typeof fields === 'object' && fields !== null
      ? Object.entries(fields).map(([pointer, problem]) => `${pointer}: ${String(problem)}`)
      : [];
  const text = [message, ...named].filter((part) => part !== '').join('; ');
  return oneLine(text.slice(0, MAX_REASON_LENGTH).toWellFormed());
};

// Lists print one signal per line. A line break would make the rest look like the next signal.
export const oneLine = (text: string): string => text.replace(/[\r\n\u2028\u2029]+/g, ' ');

const retry = (code: string, reason: string, retryAfterMs: number | undefined): Retry => ({
  kind: 'retry',
  code,
  reason,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

export type RetryUse = {
  /** The number of the attempt that has just ended, from 1. */
  attempt: number;
  /** Since the signal was accepted or last redriven. */
  ageMs: number;
  /** How many attempts in a row, with this one, ended with a status of a gateway. */
  inARow: number;
};

export type RetryLimits = { maxAttempts: number; maxAgeMs: number };

/** Turns a retry into a dead letter when the signal has no attempts or no time left. */
export const applyRetryLimits = (
  outcome: Outcome,
  { attempt, ageMs, inARow }: RetryUse,
  { maxAttempts, maxAgeMs }: RetryLimits,
): Outcome => {
  if (outcome.kind !== 'retry') return outcome;
  const { code, reason, maxInARow = Infinity } = outcome;
  if (attempt >= maxAttempts) {
    return { kind: 'dead', code, reason: `${reason} (given up after attempt ${attempt})` };
  }
  if (inARow >= maxInARow) {
    return { kind: 'dead', code, reason: `${reason} (given up after ${inARow} in a row)` };
  }
  return ageMs >= maxAgeMs ? expired(outcome, ageMs) : outcome;
};

/** The outcome of a signal past its maximum age, however its last attempt or deferral ended. */
export const expired = ({ code, reason }: Pick<Dead, 'code' | 'reason'>, ageMs: number): Dead => ({
  kind: 'dead',
  code,
  reason: `${reason} (given up after ${describeAge(ageMs)})`,
});

const HOUR_MS = 3_600_000;

const describeAge = (ms: number): string =>
  ms < HOUR_MS
    ? `${Math.round(ms / 1000)} seconds`
    : `${Math.round((10 * ms) / HOUR_MS) / 10} hours`;
