import type { Span } from '../../observability/tracing.ts';
import { abortable } from '../../runtime/async.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { CircuitBreaker, Permit } from '../circuitBreaker/circuitBreaker.ts';
import { healthReportOf } from '../circuitBreaker/healthReport.ts';
import { isUnauthenticated, mayRefuseToken, type SendResult } from '../seek/classify.ts';
import { type PartnerToken, PartnerTokenError } from '../seek/partnerToken.ts';
import type { SeekClient } from '../seek/seekClient.ts';

/** A signal to send. */
export type Entry = {
  signalId: string;
  signal: SeekSignal;
  /** The size of the signal, about. */
  bytes: number;
  /** Of the attempt. Absent where attempts are not traced. */
  span?: Span | undefined;
};

/** The attempt was cut short. The job goes back to the queue unchanged. */
export type Released = { kind: 'released' };

/** Postponed without an attempt: for example, SEEK limits our rate or issues no partner token. */
export type Deferred = {
  kind: 'deferred';
  code: string;
  reason: string;
  /** Absent if no request was made. */
  requestId?: string;
};

export type Answered = {
  kind: 'answered';
  requestId: string;
  result: Exclude<SendResult, { kind: 'aborted' }>;
  /** Whether the circuit breaker is open after the report of this answer. */
  breakerOpen: boolean;
};

export type SendOutcome = Answered | Deferred | Released;

/** Shared by all requests that come from one batch. */
export type SendContext = {
  permit: Permit;
  /** SEEK has rejected a partner token, and it was renewed. It is renewed only once a batch. */
  renewed: boolean;
};

/** Our code for a signal that was not sent because the queue did not answer. */
export const QUEUE = 'QUEUE';

/** Our code for a signal whose answer was lost because the worker was frozen. */
export const FROZEN = 'FROZEN';

/** Not reported to the breaker, and no attempt: the answer may have been sent. */
const frozenBecause = (reason: string): Deferred => ({
  kind: 'deferred',
  code: FROZEN,
  reason: `The worker was frozen during the request: ${reason}`,
});

class BreakerUnavailableError extends Error {
  override readonly name = 'BreakerUnavailableError';
}

type Deps = {
  partnerToken: Pick<PartnerToken, 'peek' | 'get' | 'renew' | 'suspect'>;
  send: SeekClient;
  breaker: Pick<CircuitBreaker, 'awaitSlot' | 'report'>;
  newRequestId: () => string;
  /** Called before each request. */
  onRequest?: (request: { requestId: string; signalIds: readonly string[] }) => void;
};

/** Sends the signals in one request: get partner token → await a slot → send → report to the breaker. */
export const createSendAuthorised = (deps: Deps) => {
  const sendWithRenewal = createSendWithRenewal(deps);
  const { breaker } = deps;

  return async (
    entries: readonly Entry[],
    context: SendContext,
    abort?: AbortSignal,
  ): Promise<SendOutcome> => {
    const { permit } = context;
    const signalIds = entries.map(({ signalId }) => signalId);
    try {
      const sent = await sendWithRenewal(entries, context, abort);
      if (sent === undefined) return { kind: 'released' };
      const { requestId, result } = sent;
      if (result.kind === 'aborted') return { kind: 'released' };
      if (result.kind === 'unreachable' && result.frozen) {
        return { ...frozenBecause(result.reason), requestId };
      }
      const report = healthReportOf(result);
      const breakerOpen = await breaker.report(report, signalIds, permit);
      if (report.kind !== 'rateLimited')
        return { kind: 'answered', requestId, result, breakerOpen };
      const { code, reason } = report.failure;
      return { kind: 'deferred', code, reason, requestId };
    } catch (err) {
      if (abort?.aborted) return { kind: 'released' };
      if (err instanceof BreakerUnavailableError) {
        return { kind: 'deferred', code: QUEUE, reason: err.message };
      }
      if (!(err instanceof PartnerTokenError)) throw err;
      if (err.frozen) return frozenBecause(err.message);
      const { code, message: reason, retryAfterMs } = err;
      const failure = { code, reason, retryAfterMs };
      await breaker.report({ kind: 'failing', certain: true, failure }, signalIds, permit);
      return { kind: 'deferred', code, reason };
    }
  };
};

export type SendAuthorised = ReturnType<typeof createSendAuthorised>;

/**
 * Renews the partner token and repeats the request once. If SEEK rejects the new token too, the
 * configuration is wrong (developer.seek.com, "Error responses"). `undefined`: no slot was granted.
 */
const createSendWithRenewal =
  ({ partnerToken, send, breaker, newRequestId, onRequest }: Deps) =>
  async (entries: readonly Entry[], context: SendContext, abort: AbortSignal | undefined) => {
    const signalIds = entries.map(({ signalId }) => signalId);
    const signals = entries.map(({ signal }) => signal);
    const attempts = spansOf(entries);
    const sendWith = async (token: string) => {
      const isGranted = await breaker.awaitSlot(context.permit, abort).catch((cause: unknown) => {
        throw new BreakerUnavailableError('Failed to read the circuit breaker', { cause });
      });
      if (!isGranted) return undefined;
      const requestId = newRequestId();
      onRequest?.({ requestId, signalIds });
      const result = await send({ signals, partnerToken: token, requestId, abort, attempts });
      if (mayRefuseToken(result)) partnerToken.suspect(token);
      return { requestId, result };
    };

    const token = partnerToken.peek() ?? (await abortable(partnerToken.get(), abort));
    const first = await sendWith(token);
    if (first === undefined || !isUnauthenticated(first.result) || context.renewed) return first;
    context.renewed = true;
    return sendWith(await abortable(partnerToken.renew(token), abort));
  };

/** `undefined` where attempts are not traced: either all entries have a span, or none has. */
const spansOf = (entries: readonly Entry[]): Span[] | undefined =>
  entries[0]?.span === undefined
    ? undefined
    : entries.flatMap(({ span }) => (span === undefined ? [] : [span]));
