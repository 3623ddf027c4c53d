import type { Redis } from 'ioredis';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { Bookkeeping, SignalOutcome, Unsent } from '../backend.ts';
import { hoursOfLastDay, msLeft, PENDING_MS, readDedupeText } from '../dedupeWindow.ts';
import { defineScript, runPipeline } from './commands.ts';
import { redisKeys } from './keys.ts';
import { reportCommand } from './outcomeStream.ts';

type Options = { client: Redis; prefix: string; now?: () => number };

const KEEP_OUTCOMES_SECONDS = 26 * 3600;

/** Reads the queue's lists as BullMQ 6.7.0 stores them, to find the oldest signal. */
export const createRedisBookkeeping = ({
  client,
  prefix,
  now = Date.now,
}: Options): Bookkeeping => {
  const keysOf = redisKeys(prefix);
  const reopenSignal = defineScript(client, 'reopenSignal');

  /** The oldest signal of a list that workers take in order. */
  const firstOf = async (list: 'wait' | 'active'): Promise<Unsent[]> => {
    const [signalId] = await client.lrange(keysOf.list(list), -1, -1);
    return toUnsent(signalId);
  };

  const toUnsent = async (signalId: string | undefined): Promise<Unsent[]> => {
    if (signalId === undefined) return [];
    const acceptedAt = await client.hget(keysOf.job(signalId), 'timestamp');
    return acceptedAt === null ? [] : [{ signalId, acceptedAt: Number(acceptedAt) }];
  };

  return {
    findDedupeRecord: async (signalId) =>
      readDedupeText(signalId, (await client.get(keysOf.dedupe(signalId))) ?? ''),

    markUnsent: async ({ signalId, acceptedAt }) => {
      await client.zadd(keysOf.unsent, acceptedAt, signalId);
    },

    recordOutcomes: async (entries) => {
      if (entries.length === 0) return;
      const [hour] = hoursOfLastDay(now());
      const pipeline = client.pipeline();
      pipeline.zrem(keysOf.unsent, ...entries.map(({ signalId }) => signalId));
      for (const [outcome, count] of countBy(entries)) {
        pipeline.hincrby(keysOf.outcomes(hour), outcome, count);
      }
      // The skip record of a dead signal stays: an operator may have discarded its dead letter since.
      const delivered = entries.filter(({ outcome }) => outcome === 'delivered');
      if (delivered.length > 0) {
        pipeline.del(...delivered.map(({ signalId }) => keysOf.skipped(signalId)));
      }
      pipeline.expire(keysOf.outcomes(hour), KEEP_OUTCOMES_SECONDS);
      for (const entry of entries) {
        if (entry.report !== undefined) pipeline.call('XADD', ...reportCommand(prefix, entry));
      }
      await runPipeline(pipeline);
    },

    removeUnsent: async (signalIds) => {
      if (signalIds.length > 0) await client.zrem(keysOf.unsent, ...signalIds);
    },

    // A signal enters the unsent set when a worker first releases it. Until then, its queue position
    // reflects its age.
    oldestUnsent: async (limit) => {
      const [flat, waiting, active, due] = await Promise.all([
        client.zrange(keysOf.unsent, '0', String(limit - 1), 'WITHSCORES'),
        firstOf('wait'),
        firstOf('active'),
        // A worker may have failed to add a signal to the unsent set before it delayed the job.
        client.zrange(keysOf.list('delayed'), '0', '0').then(([id]) => toUnsent(id)),
      ]);
      const listed = flat.flatMap((signalId, index) =>
        index % 2 === 0 ? [{ signalId, acceptedAt: Number(flat[index + 1]) }] : [],
      );
      return [...listed, ...waiting, ...active, ...due].sort((a, b) => a.acceptedAt - b.acceptedAt);
    },

    countRecentOutcomes: async () => {
      const pipeline = client.pipeline();
      for (const hour of hoursOfLastDay(now())) {
        pipeline.hmget(keysOf.outcomes(hour), 'delivered', 'skipped');
      }
      const rows = (await runPipeline(pipeline)).map((row) => (Array.isArray(row) ? row : []));
      const sum = (column: number) => rows.reduce((total, row) => total + Number(row[column]), 0);
      return { delivered: sum(0), skipped: sum(1) };
    },

    reopen: async (signalId, finishedAt) => {
      const job = keysOf.job(signalId);
      const keys = [
        keysOf.dedupe(signalId),
        job,
        `${job}:logs`,
        keysOf.list('completed'),
        keysOf.skipped(signalId),
      ];
      const values = [signalId, finishedAt ?? '', PENDING_MS];
      return (await reopenSignal(keys, values)) === 1;
    },

    saveSkipRecord: async (record, until) => {
      const ttlMs = Math.max(msLeft(until, now()), PENDING_MS);
      await client.set(keysOf.skipped(record.signalId), JSON.stringify(record), 'PX', ttlMs);
    },

    findSkipRecord: async (signalId) => {
      const text = await client.get(keysOf.skipped(signalId));
      const record: SignalRecord | undefined = text === null ? undefined : JSON.parse(text);
      return record;
    },
  };
};

const countBy = (entries: readonly SignalOutcome[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const { outcome } of entries) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return counts;
};
