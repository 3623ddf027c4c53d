import { type BackendFactory, type Job, type RedisQueueBackend, raw2NextJobData } from 'bullmq';
import type { Redis } from 'ioredis';

import { isObject } from '../schemas/isObject.ts';
import { createGather } from './gather.ts';
import { type Memory, memoryOf, memoryText, msLeft } from './memory.ts';
import { createQuickStates } from './quickStates.ts';
import { defineScript } from './redis/commands.ts';
import { redisKeys } from './redisKeys.ts';

// Nobody else is served while a script runs. Shorter ones let worker and Redis work at the same time.
const AT_ONCE = 50;
// The fixed keys of the script, by BullMQ's names.
const LISTS = ['wait', 'active', 'stalled', 'completed', 'delayed', 'meta', 'marker'];

export type GroupedOptions = {
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
  memory: Memory;
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
export const createGroupedMoves =
  ({
    client,
    prefix,
    keep,
    lockMs,
    now = Date.now,
  }: GroupedOptions): BackendFactory<RedisQueueBackend> =>
  (name, opts, connections) => {
    const backend = createQuickStates(client)(name, opts, connections);
    const { remembered, skipped } = redisKeys(prefix);
    const completeOne = backend.moveToCompleted.bind(backend);
    const completeBatch = defineScript(client, 'completeBatch');
    const lists = LISTS.map((list) => backend.toKey(list));

    const moveSome = async (moves: Move[]): Promise<Moved[]> => {
      const finishedOn = now();
      const inputs = moves.flatMap(({ jobId, memory, ...move }) => [
        ...[jobId, move.lock, move.returnValue, move.attempts, move.wantsNext ? 1 : 0],
        ...[memoryText(jobId, memory.contentId), msLeft(memory.until, finishedOn)],
        move.isSent ? 1 : 0,
      ]);
      const [codes, jobs] = readAnswer(
        await completeBatch(
          [...lists, ...moves.flatMap(({ jobId }) => [remembered(jobId), skipped(jobId)])],
          [backend.toKey(''), finishedOn, lockMs, keep.age, keep.count, ...inputs],
        ),
      );
      return codes.map((code, index) => ({ code, next: jobs[index], finishedOn }));
    };
    const move = createGather(moveSome, AT_ONCE);

    backend.moveToCompleted = async (job, returnValue, removeOnComplete, lock, wantsNext) => {
      const { id } = job;
      if (id === undefined || !isPlain(job) || removeOnComplete !== undefined) {
        return completeOne(job, returnValue, removeOnComplete, lock, wantsNext);
      }
      const { code, next, finishedOn } = await move({
        ...{ jobId: id, lock, wantsNext },
        returnValue: JSON.stringify(returnValue) ?? 'null',
        attempts: job.attemptsMade + 1,
        memory: memoryOf(id, job.data, job.timestamp),
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
