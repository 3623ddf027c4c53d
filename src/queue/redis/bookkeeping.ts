import type { Redis } from 'ioredis';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { Bookkeeping, Settled, Unsent } from '../backend.ts';
import { hoursOfLastDay, msLeft, PENDING_MS, readDedupeText } from '../dedupeWindow.ts';
import { defineScript, runPipeline } from './commands.ts';
import { redisKeys } from './keys.ts';
import { reportCommand } from './outcomeStream.ts';

type Options = { client: Redis; prefix: string; now?: () => number };

export const createRedisBookkeeping = ({
  client,
  prefix,
  now = Date.now,
}: Options): Bookkeeping => {
  const of = redisKeys(prefix);
  const reopenSignal = defineScript(client, 'reopenSignal');

  /** Who was there first, of a list that is worked off in order. */
  const first = async (state: 'wait' | 'active'): Promise<Unsent[]> => {
    const [signalId] = await client.lrange(of.list(state), -1, -1);
    return toUnsent(signalId);
  };

  const toUnsent = async (signalId: string | undefined): Promise<Unsent[]> => {
    if (signalId === undefined) return [];
    const acceptedAt = await client.hget(of.job(signalId), 'timestamp');
    return acceptedAt === null ? [] : [{ signalId, acceptedAt: Number(acceptedAt) }];
  };

  return {
    findDedupeRecord: async (signalId) =>
      readDedupeText(signalId, (await client.get(of.dedupe(signalId))) ?? ''),

    markUnsent: async ({ signalId, acceptedAt }) => {
      await client.zadd(of.unsent, acceptedAt, signalId);
    },

    recordOutcomes: async (entries) => {
      if (entries.length === 0) return;
      const [hour] = hoursOfLastDay(now());
      const pipeline = client.pipeline();
      pipeline.zrem(of.unsent, ...entries.map(({ signalId }) => signalId));
      for (const [outcome, count] of countBy(entries)) {
        pipeline.hincrby(of.outcomes(hour), outcome, count);
      }
      // Not of one that died: its dead letter outweighs a record, which may be that of its discard by now.
      const sent = entries.filter(({ outcome }) => outcome === 'delivered');
      if (sent.length > 0) pipeline.del(...sent.map(({ signalId }) => of.skipped(signalId)));
      pipeline.expire(of.outcomes(hour), 26 * 3600);
      for (const entry of entries) {
        if (entry.report !== undefined) pipeline.call('XADD', ...reportCommand(prefix, entry));
      }
      await runPipeline(pipeline);
    },

    removeUnsent: async (signalIds) => {
      if (signalIds.length > 0) await client.zrem(of.unsent, ...signalIds);
    },

    // A signal is listed only once it was let go of: before that, its place in the queue tells.
    oldestUnsent: async (limit) => {
      const [flat, waiting, active, due] = await Promise.all([
        client.zrange(of.unsent, '0', String(limit - 1), 'WITHSCORES'),
        first('wait'),
        first('active'),
        // Those that could not even be noted.
        client.zrange(of.list('delayed'), '0', '0').then(([id]) => toUnsent(id)),
      ]);
      const listed = flat.flatMap((signalId, index) =>
        index % 2 === 0 ? [{ signalId, acceptedAt: Number(flat[index + 1]) }] : [],
      );
      return [...listed, ...waiting, ...active, ...due].sort((a, b) => a.acceptedAt - b.acceptedAt);
    },

    countRecentOutcomes: async () => {
      const pipeline = client.pipeline();
      for (const hour of hoursOfLastDay(now())) {
        pipeline.hmget(of.outcomes(hour), 'delivered', 'skipped');
      }
      const rows = (await runPipeline(pipeline)).map((row) => (Array.isArray(row) ? row : []));
      const sum = (column: number) => rows.reduce((total, row) => total + Number(row[column]), 0);
      return { delivered: sum(0), skipped: sum(1) };
    },

    reopen: async (signalId, finishedAt) => {
      const job = of.job(signalId);
      const keys = [
        ...[of.dedupe(signalId), job, `${job}:logs`],
        ...[of.list('completed'), of.skipped(signalId)],
      ];
      const values = [signalId, finishedAt ?? '', PENDING_MS];
      return (await reopenSignal(keys, values)) === 1;
    },

    saveSkipRecord: async (record, until) => {
      const forMs = Math.max(msLeft(until, now()), PENDING_MS);
      await client.set(of.skipped(record.signalId), JSON.stringify(record), 'PX', forMs);
    },

    findSkipRecord: async (signalId) => {
      const text = await client.get(of.skipped(signalId));
      const record: SignalRecord | undefined = text === null ? undefined : JSON.parse(text);
      return record;
    },
  };
};

const countBy = (entries: readonly Settled[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const { outcome } of entries) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return counts;
};
