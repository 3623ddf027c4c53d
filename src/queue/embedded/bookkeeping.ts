import { type Bookkeeping, SIGNALS } from '../backend.ts';
import { hoursOfLastDay, PENDING_MS } from '../dedupeWindow.ts';
import type { KeyValueStore } from './keyValueStore.ts';

// A little longer than the hours that are ever read.
const KEEP_COUNTS_MS = 26 * 3_600_000;

const REMOVE_COMPLETED = `
  DELETE FROM bullmq.job
  WHERE queue = '${SIGNALS}' AND id = $1 AND state = 'completed' AND finished_at_ms = $2`;
const FIND_JOB = `SELECT id FROM bullmq.job WHERE queue = '${SIGNALS}' AND id = $1`;

type Deps = { store: KeyValueStore; now?: () => number };

/** Dedupe records, the unsent set, skipped signals and the counts of outcomes. */
export const createLedger = ({ store, now = Date.now }: Deps): Bookkeeping => ({
  findDedupeRecord: async (signalId) => {
    const record = (await store.find('dedupeRecords', signalId))?.value;
    return record?.accepted ? record.contentId : undefined;
  },

  markUnsent: ({ signalId, acceptedAt }) =>
    store.putIfAbsent('unsent', [{ key: signalId, value: true, score: acceptedAt }]),

  recordOutcomes: async (entries) => {
    if (entries.length === 0) return;
    const [hour] = hoursOfLastDay(now());
    const idsOf = (settled: typeof entries) => settled.map(({ signalId }) => signalId);
    await store.transaction(async (tx) => {
      await tx.delete('unsent', idsOf(entries));
      const counts = new Map<string, number>();
      for (const { outcome } of entries) {
        const key = `${hour}:${outcome}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      const before = await tx.get('outcomeCounts', [...counts.keys()]);
      const expiresAt = now() + KEEP_COUNTS_MS;
      await tx.put(
        'outcomeCounts',
        [...counts].map(([key, count]) => ({
          key,
          value: (before.get(key)?.value ?? 0) + count,
          expiresAt,
        })),
      );
      // The record of a dead signal stays: an operator may have discarded its dead letter since.
      const delivered = entries.filter(({ outcome }) => outcome === 'delivered');
      await tx.delete('skippedSignals', idsOf(delivered));
    });
  },

  removeUnsent: (signalIds) => store.delete('unsent', signalIds),

  oldestUnsent: async (limit) =>
    (await store.list('unsent', { limit })).map(({ key, score }) => ({
      signalId: key,
      acceptedAt: score,
    })),

  countRecentOutcomes: async () => {
    const hours = hoursOfLastDay(now());
    const count = async (outcome: 'delivered' | 'skipped') => {
      const keys = hours.map((hour) => `${hour}:${outcome}`);
      const counts = await store.get('outcomeCounts', keys);
      return [...counts.values()].reduce((sum, { value }) => sum + value, 0);
    };
    return { delivered: await count('delivered'), skipped: await count('skipped') };
  },

  reopen: (signalId, finishedAt) =>
    store.transaction(async (tx) => {
      if (finishedAt === undefined) {
        if ((await tx.find('skippedSignals', signalId)) === undefined) return false;
        if ((await tx.query(FIND_JOB, [signalId])).rows.length > 0) return false;
      } else {
        const { rowCount } = await tx.query(REMOVE_COMPLETED, [signalId, finishedAt]);
        if (rowCount !== 1) return false;
      }
      await tx.delete('skippedSignals', [signalId]);
      await tx.delete('dedupeRecords', [signalId]);
      return true;
    }),

  saveSkipRecord: (record, until) =>
    store.put('skippedSignals', [
      { key: record.signalId, value: record, expiresAt: Math.max(until, now() + PENDING_MS) },
    ]),

  findSkipRecord: async (signalId) => (await store.find('skippedSignals', signalId))?.value,
});
