import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import * as z from 'zod';
import { parseJson } from '../../schemas/json.ts';
import type { OutcomeEvent, OutcomeStream, SignalOutcome } from '../backend.ts';

const GROUP = 'outbox';
// The field of a stream entry that holds the event.
const FIELD = 'settlement';
const CLAIM_AFTER_MS = 60_000;
const MAX_STREAM_LENGTH = 1_000_000;

const keyOf = (prefix: string): string => `${prefix}:outcome-stream`;

/** The arguments of the XADD that appends an outcome, for a pipeline. */
export const reportCommand = (
  prefix: string,
  { signalId, outcome, report }: SignalOutcome,
): (string | number)[] => {
  const event: OutcomeEvent = { signalId, outcome, at: 0, ...report };
  return [keyOf(prefix), 'MAXLEN', '~', MAX_STREAM_LENGTH, '*', FIELD, JSON.stringify(event)];
};

const OutcomeEventSchema = z.object({
  signalId: z.string(),
  outcome: z.enum(['delivered', 'skipped', 'dead']),
  at: z.number(),
  requestId: z.string().optional(),
  reason: z.string().optional(),
});

/** A Redis stream with one consumer group, so that one relay at a time holds each entry. */
export const createRedisOutcomeStream = (client: Redis, prefix: string): OutcomeStream => {
  const key = keyOf(prefix);
  const consumer = `${hostname()}:${process.pid}`;
  let creatingGroup: Promise<unknown> | undefined;

  const createGroup = (): Promise<unknown> => {
    creatingGroup ??= client.xgroup('CREATE', key, GROUP, '0', 'MKSTREAM').catch((err: Error) => {
      creatingGroup = undefined;
      // The group exists already.
      if (!err.message.startsWith('BUSYGROUP')) throw err;
    });
    return creatingGroup;
  };

  const readGroup = async (limit: number, from: '0' | '>'): Promise<unknown[]> => {
    const answer = await client.xreadgroup(
      'GROUP',
      GROUP,
      consumer,
      'COUNT',
      limit,
      'STREAMS',
      key,
      from,
    );
    const [stream] = Array.isArray(answer) ? answer : [];
    return Array.isArray(stream) && Array.isArray(stream[1]) ? stream[1] : [];
  };

  const claimAbandoned = async (limit: number): Promise<unknown[]> => {
    const answer = await client.xautoclaim(
      key,
      GROUP,
      consumer,
      CLAIM_AFTER_MS,
      '0',
      'COUNT',
      limit,
    );
    const entries: unknown = Array.isArray(answer) ? answer[1] : undefined;
    return Array.isArray(entries) ? entries : [];
  };

  const readAll = async (limit: number): Promise<unknown[]> => {
    const pending = await readGroup(limit, '0');
    const claimed = await claimAbandoned(limit);
    return [...pending, ...claimed, ...(await readGroup(limit, '>'))];
  };

  const acknowledge = async (ids: string[]): Promise<void> => {
    if (ids.length === 0) return;
    await client.xack(key, GROUP, ...ids);
    await client.xdel(key, ...ids);
  };

  return {
    take: async (limit) => {
      await createGroup();
      const entries = await readAll(limit).catch((err: Error) => {
        // Redis was emptied, and the group with it. The next call creates it again.
        if (err.message.startsWith('NOGROUP')) creatingGroup = undefined;
        throw err;
      });
      // Redis before version 7 answers null for a claimed entry that was removed from the stream.
      const existing = entries.filter((entry) => entry !== null).map(parseEntry);
      // XAUTOCLAIM also returns our own entries that are pending for long.
      const unique = [...new Map(existing.map((entry) => [entry.id, entry])).values()];
      // An entry that cannot be parsed never can be, so it is removed.
      await acknowledge(unique.flatMap(({ id, event }) => (event === undefined ? [id] : [])));
      return unique.flatMap(({ id, event }) => (event === undefined ? [] : [{ id, event }]));
    },
    acknowledge,
  };
};

const parseEntry = (entry: unknown): { id: string; event: OutcomeEvent | undefined } => {
  const [id, fields] = Array.isArray(entry) ? entry : [];
  const text = Array.isArray(fields) ? fields[1] : undefined;
  return { id: String(id), event: OutcomeEventSchema.safeParse(parseJson(String(text))).data };
};
