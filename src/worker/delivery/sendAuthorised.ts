import type { Span } from '../../observability/tracing.ts';
import { abortable } from '../../runtime/async.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { CircuitBreaker, Permit } from '../circuitBreaker/circuitBreaker.ts';
import { healthReportOf } from '../circuitBreaker/healthReport.ts';
import { isUnauthenticated, type SendResult } from '../seek/classify.ts';
import { type PartnerToken, PartnerTokenError } from '../seek/partnerToken.ts';
import type { SeekClient } from '../seek/seekClient.ts';

/** A signal in hand. `abort`: the worker stops, or has lost the job to another. */
export type Entry = {
  signalId: string;
  signal: SeekSignal;
  abort?: AbortSignal | undefined;
  /** Of the attempt, where it is traced. */
  span?: Span | undefined;
};

/** Not tried to its end, so the signal goes back as it came. */
export type Released = { kind: 'released' };

/** Tried, but no attempt of its own: SEEK limits our rate, or gives us no partner token. */
export type Deferred = {
  kind: 'deferred';
  code: string;
  reason: string;
  /** Of the request that was made, if one was. */
  requestId?: string;
};

export type Answered = {
  kind: 'answered';
  requestId: string;
  result: Exclude<SendResult, { kind: 'aborted' }>;
  /** Whether the lane is, now that it has heard of the answer. */
  breakerOpen: boolean;
};

export type SendOutcome = Answered | Deferred | Released;

/** Under what conditions signals go, alone or in however many parts they come to be sent. */
export type SendContext = {
  permit: Permit;
  /** SEEK has rejected a partner token on the way, and it was renewed: once is enough. */
  renewed: boolean;
};

/** Our code for a signal that was not sent because the queue had no answer for us. */
export const QUEUE = 'QUEUE';

class LaneError extends Error {
  override readonly name = 'LaneError';
}

type Deps = {
  partnerToken: Pick<PartnerToken, 'peek' | 'get' | 'renew'>;
  send: SeekClient;
  breaker: Pick<CircuitBreaker, 'awaitSlot' | 'report'>;
  newRequestId: () => string;
  /** Called before each request. */
  onRequest?: (request: { requestId: string; signalIds: readonly string[] }) => void;
};

/** One exchange with SEEK about the signals given: authorise → enter the lane → send. */
export const createSendAuthorised =
  ({ partnerToken, send, breaker, newRequestId, onRequest }: Deps) =>
  async (
    entries: readonly Entry[],
    context: SendContext,
    abort?: AbortSignal,
  ): Promise<SendOutcome> => {
    const { permit } = context;
    const ids = entries.map(({ signalId }) => signalId);
    const signals = entries.map(({ signal }) => signal);
    const sendWith = async (token: string) => {
      const may = await breaker.awaitSlot(permit, abort).catch((cause: unknown) => {
        throw new LaneError('The lane cannot be asked', { cause });
      });
      if (!may) return undefined;
      const requestId = newRequestId();
      onRequest?.({ requestId, signalIds: ids });
      const request = {
        signals,
        partnerToken: token,
        requestId,
        abort,
        attempts: spansOf(entries),
      };
      return { requestId, result: await send(request) };
    };
    /** One new token and one repetition, never two: a fresh token that is rejected as well means a
     * wrong configuration (developer.seek.com, "Error responses"). */
    const authorised = async () => {
      const token = partnerToken.peek() ?? (await abortable(partnerToken.get(), abort));
      const first = await sendWith(token);
      if (first === undefined || !isUnauthenticated(first.result) || context.renewed) return first;
      context.renewed = true;
      return sendWith(await abortable(partnerToken.renew(token), abort));
    };

    try {
      const answer = await authorised();
      if (answer === undefined) return { kind: 'released' };
      const { requestId, result } = answer;
      if (result.kind === 'aborted') return { kind: 'released' };
      const report = healthReportOf(result);
      const breakerOpen = await breaker.report(report, ids, permit);
      if (report.kind !== 'rateLimited')
        return { kind: 'answered', requestId, result, breakerOpen };
      const { code, reason } = report.failure;
      return { kind: 'deferred', code, reason, requestId };
    } catch (err) {
      if (abort?.aborted) return { kind: 'released' };
      if (err instanceof LaneError) {
        return { kind: 'deferred', code: QUEUE, reason: err.message };
      }
      if (!(err instanceof PartnerTokenError)) throw err;
      const { code, message: reason, retryAfterMs } = err;
      const failure = { code, reason, retryAfterMs };
      await breaker.report({ kind: 'failing', certain: true, failure }, ids, permit);
      return { kind: 'deferred', code, reason };
    }
  };

export type SendAuthorised = ReturnType<typeof createSendAuthorised>;

/** Either all of them are traced, or none is. */
const spansOf = (entries: readonly Entry[]): Span[] | undefined =>
  entries[0]?.span === undefined
    ? undefined
    : entries.flatMap(({ span }) => (span === undefined ? [] : [span]));
