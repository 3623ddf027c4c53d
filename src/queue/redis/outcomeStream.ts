import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import * as z from 'zod';

import { parseJson } from '../../schemas/json.ts';
import type { OutcomeEvent, OutcomeStream, Settled } from '../backend.ts';

const GROUP = 'outbox';
const LEFT_BEHIND_MS = 60_000;
const MOST_KEPT = 1_000_000;

const keyOf = (prefix: string): string => `${prefix}:outcome-stream`;

/** The command that notes what is to be reported, to be added to others. */
export const reportCommand = (
  prefix: string,
  { signalId, outcome, report }: Settled,
): (string | number)[] => {
  const settlement: OutcomeEvent = { signalId, outcome, at: 0, ...report };
  return [keyOf(prefix), 'MAXLEN', '~', MOST_KEPT, '*', 'settlement', JSON.stringify(settlement)];
};

const JobResultSchema = z.object({
  signalId: z.string(),
  outcome: z.enum(['delivered', 'skipped', 'dead']),
  at: z.number(),
  requestId: z.string().optional(),
  reason: z.string().optional(),
});

/** In Redis, a stream under `PREFIX:outcome-stream`: each is in the hands of one relay at a time. */
export const createRedisOutcomeStream = (client: Redis, prefix: string): OutcomeStream => {
  const key = keyOf(prefix);
  const consumer = `${hostname()}:${process.pid}`;
  let joining: Promise<unknown> | undefined;

  const join = (): Promise<unknown> => {
    joining ??= client.xgroup('CREATE', key, GROUP, '0', 'MKSTREAM').catch((err: Error) => {
      joining = undefined;
      // It is there already.
      if (!err.message.startsWith('BUSYGROUP')) throw err;
    });
    return joining;
  };

  const readGroup = async (limit: number, from: '0' | '>'): Promise<unknown[]> => {
    const answer = await client.xreadgroup(
      ...(['GROUP', GROUP, consumer, 'COUNT', limit, 'STREAMS', key, from] as const),
    );
    const [stream] = Array.isArray(answer) ? answer : [];
    return Array.isArray(stream) && Array.isArray(stream[1]) ? stream[1] : [];
  };

  /** What we had in hand already, what others have left behind, and what is new. */
  const read = async (limit: number): Promise<unknown[]> => {
    const own = await readGroup(limit, '0');
    const claimed = await client.xautoclaim(
      ...([key, GROUP, consumer, LEFT_BEHIND_MS, '0', 'COUNT', limit] as const),
    );
    const left: unknown = Array.isArray(claimed) ? claimed[1] : undefined;
    return [...own, ...(Array.isArray(left) ? left : []), ...(await readGroup(limit, '>'))];
  };

  const done = async (ids: string[]): Promise<void> => {
    if (ids.length === 0) return;
    await client.xack(key, GROUP, ...ids);
    await client.xdel(key, ...ids);
  };

  return {
    take: async (limit) => {
      await join();
      const entries = await read(limit).catch((err: Error) => {
        // Somebody has emptied the Redis: the group went with it.
        if (err.message.startsWith('NOGROUP')) joining = undefined;
        throw err;
      });
      // Before Redis 7, one that is gone although somebody had it in hand comes as nothing.
      const there = entries.filter((entry) => entry !== null).map(toReported);
      // What we have had in hand for long is claimed as well.
      const given = [...new Map(there.map((one) => [one.id, one])).values()];
      // What can't be read now will not be read later either.
      await done(given.flatMap(({ id, settlement }) => (settlement === undefined ? [id] : [])));
      return given.flatMap(({ id, settlement }) =>
        settlement === undefined ? [] : [{ id, settlement }],
      );
    },
    done,
  };
};

const toReported = (entry: unknown): { id: string; settlement: OutcomeEvent | undefined } => {
  const [id, fields] = Array.isArray(entry) ? entry : [];
  const text = Array.isArray(fields) ? fields[1] : undefined;
  return { id: String(id), settlement: JobResultSchema.safeParse(parseJson(String(text))).data };
};
