import type { OutcomeEvent } from '../../queue/backend.ts';
import type { SignalLookup } from '../../queue/lookup.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { Enqueue } from '../enqueue.ts';
import type { OutcomeRows } from './outcomeRows.ts';
import { relayAll } from './relay.ts';
import type { OutboxStore, Relayed, Taken } from './rows.ts';

const PAGE = 500;
const SAMPLES = 5;

export type Reconciled = {
  /** Rows of which the outcome is not known, or may still change. */
  checked: number;
  /** Those that the queue does not know any more, and was given again: with `dryRun`, that it would be. */
  reenqueued: number;
  /** Those of them that would not be accepted today. */
  rejected: number;
  /** Those whose outcome the queue knew, and the outbox did not. */
  recorded: number;
  /** Some of those that were lost. */
  samples: string[];
};

type Deps = {
  store: Pick<OutboxStore, 'reconsider'>;
  outcomeRows: Pick<OutcomeRows, 'writeBack'>;
  ask: AskQueue;
  enqueue: Enqueue;
};

/**
 * Gives the queue what it has lost, and that alone: rows that went into it and that it does not know any
 * more. May be broken off and repeated, and run beside relays and workers.
 */
export const createReconcile =
  ({ store, outcomeRows, ask, enqueue }: Deps) =>
  async ({ dryRun, signal }: { dryRun: boolean; signal?: AbortSignal }): Promise<Reconciled> => {
    let told: OutcomeEvent[] = [];
    const seen: Reconciled = { checked: 0, reenqueued: 0, rejected: 0, recorded: 0, samples: [] };

    const consider = async (taken: (Taken & { signalId: string })[]): Promise<Relayed[]> => {
      const asked = await Promise.all(taken.map(({ signalId }) => ask(signalId)));
      told = outcomeEventsIn(asked);
      const lost = taken.filter((_, index) => asked[index]?.kind === 'unknown');
      seen.checked += taken.length;
      seen.samples.push(...lost.map(({ signalId }) => signalId));
      seen.samples.splice(SAMPLES);
      if (dryRun) {
        seen.reenqueued += lost.length;
        return [];
      }
      const relayed = await relayAll(enqueue, lost, 'outbox');
      seen.reenqueued += relayed.filter(({ kind }) => kind === 'queued').length;
      seen.rejected += relayed.filter(({ kind }) => kind === 'rejected').length;
      return relayed;
    };
    for (let after: string | undefined = '0'; after !== undefined && !signal?.aborted; ) {
      after = await store.reconsider(after, PAGE, consider);
      // Not within the transaction, which has these rows in its hands.
      if (!dryRun) await outcomeRows.writeBack(told);
      seen.recorded += told.length;
    }
    return seen;
  };

/** What the queue says of a signal. */
export type Asked =
  | { kind: 'settled'; settlement: OutcomeEvent }
  | { kind: 'on its way' | 'unknown' };

/** For those who were not told, or want to be certain. */
export const createAskQueue =
  ({ find, stateOf }: Pick<SignalLookup, 'find' | 'stateOf'>, now: () => number = Date.now) =>
  async (signalId: string): Promise<Asked> => {
    const life = await find(signalId);
    if (life !== undefined) return toAsked(life, now());
    // Settled so long ago that no more is known than that.
    const state = await stateOf(signalId);
    return state === undefined
      ? { kind: 'unknown' }
      : { kind: 'settled', settlement: { signalId, outcome: 'delivered', at: now() } };
  };

/** Of those that are settled. */
export const outcomeEventsIn = (asked: readonly Asked[]): OutcomeEvent[] =>
  asked.flatMap((one) => (one.kind === 'settled' ? [one.settlement] : []));

export type AskQueue = ReturnType<typeof createAskQueue>;

const toAsked = ({ signalId, state, reason, attempts }: SignalRecord, now: number): Asked => {
  switch (state) {
    case 'delivered':
    case 'skipped':
    case 'dead': {
      const { requestId, at, durationMs = 0 } = attempts.at(-1) ?? {};
      const ended = at === undefined ? now : Date.parse(at) + durationMs;
      return {
        kind: 'settled',
        settlement: { signalId, outcome: state, requestId, reason, at: ended },
      };
    }
    default:
      return { kind: 'on its way' };
  }
};
