import type { OutcomeEvent } from '../../queue/backend.ts';
import type { SignalLookup } from '../../queue/lookup.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { Enqueue } from '../enqueue.ts';
import type { OutcomeRows } from './outcomeRows.ts';
import { relayAll } from './relay.ts';
import type { OpenLockedRow, OutboxStore, RowResult } from './rows.ts';

const PAGE_SIZE = 500;
const MAX_SAMPLES = 5;

export type ReconcileResult = {
  /** Rows whose outcome was unknown or could still change. */
  checked: number;
  /** Rows whose signals the queue had lost, enqueued again. With `dryRun`: that would be. */
  reenqueued: number;
  /** Rows whose signals the queue had lost, and that fail validation today. */
  rejected: number;
  /** Rows whose outcome the queue knew. */
  recorded: number;
  /** Up to five ids of signals that the queue had lost. */
  samples: string[];
};

type Deps = {
  store: Pick<OutboxStore, 'recheck'>;
  outcomeRows: Pick<OutcomeRows, 'recordOutcomes'>;
  lookUpOutcome: OutcomeLookup;
  enqueue: Enqueue;
};

/**
 * Enqueues the signals that the queue has lost: those of rows that were queued and that the queue does
 * not know. Safe to interrupt, to repeat, and to run beside relays and workers.
 */
export const createReconcile =
  ({ store, outcomeRows, lookUpOutcome, enqueue }: Deps) =>
  async ({
    dryRun,
    signal,
  }: {
    dryRun: boolean;
    signal?: AbortSignal;
  }): Promise<ReconcileResult> => {
    const total: ReconcileResult = {
      checked: 0,
      reenqueued: 0,
      rejected: 0,
      recorded: 0,
      samples: [],
    };
    let outcomes: OutcomeEvent[] = [];

    const reenqueueLost = async (rows: OpenLockedRow[]): Promise<RowResult[]> => {
      const found = await Promise.all(rows.map(({ signalId }) => lookUpOutcome(signalId)));
      outcomes = knownOutcomes(found);
      const lost = rows.filter((_, index) => found[index]?.kind === 'missing');
      total.checked += rows.length;
      total.samples.push(...lost.map(({ signalId }) => signalId));
      total.samples.splice(MAX_SAMPLES);
      if (dryRun) {
        total.reenqueued += lost.length;
        return [];
      }
      const results = await relayAll(enqueue, lost, 'outbox');
      total.reenqueued += results.filter(({ kind }) => kind === 'queued').length;
      total.rejected += results.filter(({ kind }) => kind === 'rejected').length;
      return results;
    };
    for (let after: string | undefined = '0'; after !== undefined && !signal?.aborted; ) {
      after = await store.recheck(after, PAGE_SIZE, reenqueueLost);
      // After the transaction of `recheck`: inside it, this would wait for the rows that it has locked.
      if (!dryRun) await outcomeRows.recordOutcomes(outcomes);
      total.recorded += outcomes.length;
    }
    return total;
  };

/** What the queue knows of a signal: its outcome, that it has none yet, or nothing. */
export type LookedUpOutcome =
  | { kind: 'known'; event: OutcomeEvent }
  | { kind: 'pending' | 'missing' };

/** Looks up the outcome of a signal in the queue, because outcome events may be lost. */
export const createOutcomeLookup =
  ({ find, stateOf }: Pick<SignalLookup, 'find' | 'stateOf'>, now: () => number = Date.now) =>
  async (signalId: string): Promise<LookedUpOutcome> => {
    const record = await find(signalId);
    if (record !== undefined) return toLookedUpOutcome(record, now());
    // The record has expired, and only the dedupe record is left: the signal was delivered.
    const state = await stateOf(signalId);
    return state === undefined
      ? { kind: 'missing' }
      : { kind: 'known', event: { signalId, outcome: 'delivered', at: now() } };
  };

export type OutcomeLookup = ReturnType<typeof createOutcomeLookup>;

export const knownOutcomes = (found: readonly LookedUpOutcome[]): OutcomeEvent[] =>
  found.flatMap((one) => (one.kind === 'known' ? [one.event] : []));

const toLookedUpOutcome = (
  { signalId, state, reason, attempts }: SignalRecord,
  now: number,
): LookedUpOutcome => {
  switch (state) {
    case 'delivered':
    case 'skipped':
    case 'dead': {
      const { requestId, at: startedAt, durationMs = 0 } = attempts.at(-1) ?? {};
      const at = startedAt === undefined ? now : Date.parse(startedAt) + durationMs;
      return { kind: 'known', event: { signalId, outcome: state, requestId, reason, at } };
    }
    default:
      return { kind: 'pending' };
  }
};
