import {
  type BackendFactory,
  createRedisBackend,
  type Job,
  type RedisQueueBackend,
  raw2NextJobData,
} from 'bullmq';
import type { Redis } from 'ioredis';
import { createMicroBatch } from '../../runtime/async.ts';
import { isObject } from '../../schemas/json.ts';
import { type DedupeRecord, dedupeRecordOf, dedupeText, msLeft } from '../dedupeWindow.ts';
import { defineScript } from './commands.ts';
import { redisKeys } from './keys.ts';

// Nobody else is served while a script runs. Shorter ones let worker and Redis work at the same time.
const AT_ONCE = 50;
// The fixed keys of the script, by BullMQ's names.
const LISTS = ['wait', 'active', 'stalled', 'completed', 'delayed', 'meta', 'marker'];

export type BatchedCompletionOptions = {
  client: Redis;
  prefix: string;
  /** Which completed jobs are kept: `age` in seconds. */
  keep: { age: number; count: number };
  lockMs: number;
  now?: () => number;
};

type Move = {
  jobId: string;
  lock: string;
  returnValue: string;
  attempts: number;
  dedupe: DedupeRecord;
  /** What a worker before this one may have said of a skip is not so. */
  isSent: boolean;
  /** Its slot is to get another job. */
  wantsNext: boolean;
};

type Moved = { code: number; next: unknown; finishedOn: number };

/**
 * BullMQ's own backend, but that jobs which complete at about the same time do so in one step, and
 * their slots get their next jobs in the same; in it, too, they are remembered. BullMQ takes a step for
 * each, and more commands. Jobs, locks and lists are as BullMQ keeps them, and all other ways are its
 * own. What is left out are events for `QueueEvents`, and what no signal has, such as parents.
 */
export const createBatchedCompletion =
  ({
    client,
    prefix,
    keep,
    lockMs,
    now = Date.now,
  }: BatchedCompletionOptions): BackendFactory<RedisQueueBackend> =>
  (name, opts, connections) => {
    const backend = createFastJobStates(client)(name, opts, connections);
    const { dedupe, skipped } = redisKeys(prefix);
    const completeOne = backend.moveToCompleted.bind(backend);
    const completeBatch = defineScript(client, 'completeBatch');
    const lists = LISTS.map((list) => backend.toKey(list));

    const moveSome = async (moves: Move[]): Promise<Moved[]> => {
      const finishedOn = now();
      const inputs = moves.flatMap(({ jobId, dedupe, ...move }) => [
        ...[jobId, move.lock, move.returnValue, move.attempts, move.wantsNext ? 1 : 0],
        ...[dedupeText(jobId, dedupe.contentId), msLeft(dedupe.until, finishedOn)],
        move.isSent ? 1 : 0,
      ]);
      const [codes, jobs] = readAnswer(
        await completeBatch(
          [...lists, ...moves.flatMap(({ jobId }) => [dedupe(jobId), skipped(jobId)])],
          [backend.toKey(''), finishedOn, lockMs, keep.age, keep.count, ...inputs],
        ),
      );
      return codes.map((code, index) => ({ code, next: jobs[index], finishedOn }));
    };
    const move = createMicroBatch(moveSome, AT_ONCE);

    backend.moveToCompleted = async (job, returnValue, removeOnComplete, lock, wantsNext) => {
      const { id } = job;
      if (id === undefined || !isPlain(job) || removeOnComplete !== undefined) {
        return completeOne(job, returnValue, removeOnComplete, lock, wantsNext);
      }
      const { code, next, finishedOn } = await move({
        ...{ jobId: id, lock, wantsNext },
        returnValue: JSON.stringify(returnValue) ?? 'null',
        attempts: job.attemptsMade + 1,
        dedupe: dedupeRecordOf(id, job.data, job.timestamp),
        isSent: isObject(returnValue) && returnValue.outcome === 'delivered',
      });
      if (code < 0) {
        const command = 'moveToFinished';
        throw backend.finishedErrors({ code, jobId: id, command, state: 'active' });
      }
      // Without an answer about the next one, BullMQ asks for it in its own way: what is delayed,
      // limited or paused is known there.
      const result = Array.isArray(next) ? raw2NextJobData([...next, 0, 0]) : undefined;
      return { result, finishedOn };
    };
    return backend;
  };

/** What somebody else added may have more to it. */
const isPlain = ({
  parentKey,
  repeatJobKey,
  opts,
}: Pick<Job, 'parentKey' | 'repeatJobKey' | 'opts'>) =>
  parentKey === undefined && repeatJobKey === undefined && opts.deduplication === undefined;

const readAnswer = (answer: unknown): [number[], unknown[]] => {
  const [codes, jobs] = Array.isArray(answer) ? answer : [];
  return [Array.isArray(codes) ? codes.map(Number) : [], Array.isArray(jobs) ? jobs : []];
};

// In the order in which they are looked at: the list of those in hand is short.
const STATE_LISTS = ['completed', 'failed', 'delayed', 'prioritized', 'waiting-children'] as const;
const STATES = [...STATE_LISTS, 'active', 'waiting', 'unknown'] as const;

/**
 * BullMQ's own backend, but that the state of a job is found without a search through all that wait: with a
 * million of them BullMQ's takes Redis some 48 ms, in which it serves nobody else.
 */
export const createFastJobStates =
  (client: Redis): BackendFactory<RedisQueueBackend> =>
  (name, opts, connections) => {
    const backend = createRedisBackend(name, opts, connections);
    const readJobState = defineScript(client, 'readJobState');
    const lists = ['active', ...STATE_LISTS].map((list) => backend.toKey(list));

    backend.getState = async (jobId) => {
      const answer = await readJobState([backend.toKey(jobId), ...lists], [jobId, ...STATE_LISTS]);
      return STATES.find((state) => state === answer) ?? 'unknown';
    };
    return backend;
  };
