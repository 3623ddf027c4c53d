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

// Redis serves no other client while a script runs. Short scripts also let worker and Redis overlap.
const MAX_JOBS_PER_SCRIPT = 50;
// The fixed keys of the script, by BullMQ's names.
const LISTS = ['wait', 'active', 'stalled', 'completed', 'delayed', 'meta', 'marker'];

export type BatchedCompletionOptions = {
  client: Redis;
  prefix: string;
  /** Which completed jobs are kept: up to `age` seconds and up to `count`. */
  keep: { age: number; count: number };
  lockMs: number;
  now?: () => number;
};

type Completion = {
  jobId: string;
  lock: string;
  returnValue: string;
  attempts: number;
  dedupe: DedupeRecord;
  /** Deletes the skip record that an earlier worker may have written. */
  isDelivered: boolean;
  /** The slot of the worker wants another job. */
  wantsNext: boolean;
};

type Completed = { code: number; next: unknown; finishedOn: number };

/**
 * BullMQ's backend, except that jobs which complete at about the same time do so in one script. The
 * script also takes the next jobs for their slots and writes their dedupe records. BullMQ runs one
 * script per job, with more commands. Jobs, locks and lists stay as BullMQ 6.7.0 stores them. Left out
 * are events for `QueueEvents`, and features that no signal uses, such as parents.
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

    const completeAll = async (completions: Completion[]): Promise<Completed[]> => {
      const finishedOn = now();
      const inputs = completions.flatMap(({ jobId, dedupe, ...completion }) => [
        jobId,
        completion.lock,
        completion.returnValue,
        completion.attempts,
        completion.wantsNext ? 1 : 0,
        dedupeText(jobId, dedupe.contentId),
        msLeft(dedupe.until, finishedOn),
        completion.isDelivered ? 1 : 0,
      ]);
      const [codes, jobs] = readAnswer(
        await completeBatch(
          [...lists, ...completions.flatMap(({ jobId }) => [dedupe(jobId), skipped(jobId)])],
          [backend.toKey(''), finishedOn, lockMs, keep.age, keep.count, ...inputs],
        ),
      );
      return codes.map((code, index) => ({ code, next: jobs[index], finishedOn }));
    };
    const complete = createMicroBatch(completeAll, MAX_JOBS_PER_SCRIPT);

    backend.moveToCompleted = async (job, returnValue, removeOnComplete, lock, wantsNext) => {
      const { id } = job;
      if (id === undefined || !isPlain(job) || removeOnComplete !== undefined) {
        return completeOne(job, returnValue, removeOnComplete, lock, wantsNext);
      }
      const { code, next, finishedOn } = await complete({
        jobId: id,
        lock,
        wantsNext,
        returnValue: JSON.stringify(returnValue) ?? 'null',
        attempts: job.attemptsMade + 1,
        dedupe: dedupeRecordOf(id, job.data, job.timestamp),
        isDelivered: isObject(returnValue) && returnValue.outcome === 'delivered',
      });
      if (code < 0) {
        const command = 'moveToFinished';
        throw backend.finishedErrors({ code, jobId: id, command, state: 'active' });
      }
      // Without a next job, BullMQ fetches it with its own scripts, which handle delayed jobs, limits and
      // pauses.
      const result = Array.isArray(next) ? raw2NextJobData([...next, 0, 0]) : undefined;
      return { result, finishedOn };
    };
    return backend;
  };

/** Only jobs that use none of the features which the script leaves out. Other programs may add such jobs. */
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

// The sorted sets that readJobState.lua checks, in order.
const STATE_LISTS = ['completed', 'failed', 'delayed', 'prioritized', 'waiting-children'] as const;
const STATES = [...STATE_LISTS, 'active', 'waiting', 'unknown'] as const;

/**
 * BullMQ's backend, except that it reads the state of a job without a search of the waiting list. With a
 * million waiting jobs, BullMQ 6.7.0 blocks Redis for about 48 ms per call.
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

/** A backend that reports each job which it fetches, with the size of its data. */
export const reportTaken =
  (
    factory: BackendFactory<RedisQueueBackend>,
    onTaken: (jobId: string, bytes: number) => void,
  ): BackendFactory<RedisQueueBackend> =>
  (name, opts, connections) => {
    const backend = factory(name, opts, connections);
    const moveToActive = backend.moveToActive.bind(backend);
    backend.moveToActive = async (...args) => {
      const taken = await moveToActive(...args);
      const [job, jobId] = taken;
      if (job?.data !== undefined && jobId) onTaken(jobId, job.data.length);
      return taken;
    };
    return backend;
  };
