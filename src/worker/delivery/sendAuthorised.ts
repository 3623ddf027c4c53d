import type { Span } from '../../observability/tracing.ts';
import { unlessAborted } from '../../runtime/async.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { Lane, Pass } from '../circuitBreaker/circuitBreaker.ts';
import { roadReport } from '../circuitBreaker/healthReport.ts';
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
export type HandedBack = { kind: 'handedBack' };

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
  laneClosed: boolean;
};

export type Exchanged = Answered | Deferred | HandedBack;

/** Under what conditions signals go, alone or in however many parts they come to be sent. */
export type Errand = {
  pass: Pass;
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
  lane: Pick<Lane, 'enter' | 'report'>;
  newRequestId: () => string;
  /** Called before each request. */
  onRequest?: (request: { requestId: string; signalIds: readonly string[] }) => void;
};

/** One exchange with SEEK about the signals given: authorise → enter the lane → send. */
export const createExchange =
  ({ partnerToken, send, lane, newRequestId, onRequest }: Deps) =>
  async (entries: readonly Entry[], errand: Errand, abort?: AbortSignal): Promise<Exchanged> => {
    const { pass } = errand;
    const ids = entries.map(({ signalId }) => signalId);
    const signals = entries.map(({ signal }) => signal);
    const sendWith = async (token: string) => {
      const may = await lane.enter(pass, abort).catch((cause: unknown) => {
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
      const token = partnerToken.peek() ?? (await unlessAborted(partnerToken.get(), abort));
      const first = await sendWith(token);
      if (first === undefined || !isUnauthenticated(first.result) || errand.renewed) return first;
      errand.renewed = true;
      return sendWith(await unlessAborted(partnerToken.renew(token), abort));
    };

    try {
      const answer = await authorised();
      if (answer === undefined) return { kind: 'handedBack' };
      const { requestId, result } = answer;
      if (result.kind === 'aborted') return { kind: 'handedBack' };
      const report = roadReport(result);
      const laneClosed = await lane.report(report, ids, pass);
      if (report.kind !== 'limited') return { kind: 'answered', requestId, result, laneClosed };
      const { code, reason } = report.trouble;
      return { kind: 'deferred', code, reason, requestId };
    } catch (err) {
      if (abort?.aborted) return { kind: 'handedBack' };
      if (err instanceof LaneError) {
        return { kind: 'deferred', code: QUEUE, reason: err.message };
      }
      if (!(err instanceof PartnerTokenError)) throw err;
      const { code, message: reason, retryAfterMs } = err;
      const trouble = { code, reason, retryAfterMs };
      await lane.report({ kind: 'trouble', certain: true, trouble }, ids, pass);
      return { kind: 'deferred', code, reason };
    }
  };

export type Exchange = ReturnType<typeof createExchange>;

/** Either all of them are traced, or none is. */
const spansOf = (entries: readonly Entry[]): Span[] | undefined =>
  entries[0]?.span === undefined
    ? undefined
    : entries.flatMap(({ span }) => (span === undefined ? [] : [span]));
