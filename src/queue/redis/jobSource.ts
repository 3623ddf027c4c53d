import type { Redis } from 'ioredis';
import { isObject, parseJson } from '../../schemas/json.ts';
import type { QueueName } from '../backend.ts';
import { dedupeRecordOf, dedupeText, msLeft } from '../dedupeWindow.ts';
import { type KeepCompleted, LOCK_MS } from '../jobOptions.ts';
import {
  type BullJobSource,
  type Completion,
  createLocks,
  type Exchange,
  type JobSource,
  type TakenJob,
  type Wanted,
} from '../jobSource.ts';
import { defineScript } from './commands.ts';
import { redisKeys } from './keys.ts';

// The fixed keys of the script, by BullMQ's names.
const LISTS = [
  'wait',
  'active',
  'stalled',
  'completed',
  'delayed',
  'prioritized',
  'meta',
  'marker',
];

type Options = {
  client: Redis;
  prefix: string;
  name: QueueName;
  keep: KeepCompleted;
  /** Takes and ends the jobs that the script leaves to BullMQ. */
  bull: BullJobSource;
  now?: () => number;
};

/**
 * The jobs of `signals`: one script completes a set of jobs, with their dedupe records, and takes the next
 * set. BullMQ runs a script for each job, with more commands. Jobs, locks and lists stay as BullMQ 6.7.0
 * stores them.
 */
export const createRedisJobSource = ({
  client,
  prefix,
  name,
  keep,
  bull,
  now = Date.now,
}: Options): JobSource => {
  const keyOf = (part: string) => `${prefix}:${name}:${part}`;
  const { dedupe, skipped } = redisKeys(prefix);
  const settleAndTake = defineScript(client, 'settleAndTake');
  const lists = LISTS.map(keyOf);
  const newLock = createLocks();
  const plainJobs = new WeakSet<TakenJob>();
  // Also one that BullMQ took, such as a retried one: only the script writes its dedupe record.
  const isPlain = (job: TakenJob) => plainJobs.has(job) || bull.hasTakenPlain(job);

  const valuesOf = ({ job, result }: Completion, finishedOn: number) => {
    const record = dedupeRecordOf(job.id, job.data, job.timestamp);
    return [
      job.id,
      job.lock,
      JSON.stringify(result),
      job.attemptsMade + 1,
      dedupeText(job.id, record.contentId),
      msLeft(record.until, finishedOn),
      isObject(result) && result.outcome === 'delivered' ? 1 : 0,
    ];
  };

  const toTaken = (fields: unknown, locks: string): TakenJob => {
    const [n, id, jobName, text, timestamp, attemptsMade, stalledCounter, plain] = Array.isArray(
      fields,
    )
      ? fields
      : [];
    const job = {
      id: String(id),
      name: String(jobName),
      data: parseJson(String(text)),
      bytes: Buffer.byteLength(String(text)),
      timestamp: Number(timestamp),
      attemptsMade: Number(attemptsMade),
      stalledCounter: Number(stalledCounter),
      lock: `${locks}${n}`,
    };
    if (plain === 1) plainJobs.add(job);
    return job;
  };

  const exchangePlain = async (
    completions: readonly Completion[],
    wanted: Wanted,
  ): Promise<Exchange> => {
    const finishedOn = now();
    const locks = `${newLock()}:`;
    const values = completions.flatMap((completion) => valuesOf(completion, finishedOn));
    const answer = await settleAndTake(lists, [
      keyOf(''),
      dedupe(''),
      skipped(''),
      finishedOn,
      LOCK_MS,
      keep.age,
      keep.count,
      wanted.jobs,
      wanted.bytes,
      locks,
      ...values,
    ]);
    const [codes, jobs, hasMore] = Array.isArray(answer) ? answer : [];
    return {
      completed: toList(codes).map((code) => code === 0),
      taken: toList(jobs).map((fields) => toTaken(fields, locks)),
      hasMore: hasMore === 1,
    };
  };

  return {
    ...bull,

    exchange: async (completions, wanted) => {
      const plain = completions.filter(({ job }) => isPlain(job));
      const others = completions.filter(({ job }) => !isPlain(job));
      // BullMQ first: a script that is repeated completes its jobs once, and takes others only at its end.
      const byBull = others.length === 0 ? NOTHING : await bull.exchange(others, NO_JOBS);
      const exchange = await exchangePlain(plain, wanted);
      const isLeftToBull = wanted.jobs > 0 && exchange.taken.length === 0 && exchange.hasMore;
      const { taken, hasMore } = isLeftToBull
        ? await bull.exchange([], { ...wanted, jobs: 1 })
        : exchange;
      if (others.length === 0) return { completed: exchange.completed, taken, hasMore };

      const results = new Map([
        ...plain.map(({ job }, n) => [job, exchange.completed[n] ?? false] as const),
        ...others.map(({ job }, n) => [job, byBull.completed[n] ?? false] as const),
      ]);
      const completed = completions.map(({ job }) => results.get(job) ?? false);
      return { completed, taken, hasMore };
    },
  };
};

const NO_JOBS: Wanted = { jobs: 0, bytes: 0 };
const NOTHING: Exchange = { completed: [], taken: [], hasMore: false };

const toList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
