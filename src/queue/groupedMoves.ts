import {
  type BackendFactory,
  createRedisBackend,
  type Job,
  type RedisQueueBackend,
  raw2NextJobData,
} from 'bullmq';
import type { Redis } from 'ioredis';

import { GROUPED_MOVES, LOST } from './groupedMovesScript.ts';
import { createScript } from './redisScript.ts';

// Nobody else is served while a script runs. Shorter ones let worker and Redis work at the same time.
const AT_ONCE = 50;

export type GroupedOptions = {
  client: Redis;
  /** Of which completed jobs are kept: `age` in seconds. */
  keep: { age: number; count: number };
  lockMs: number;
};

type Completed = Awaited<ReturnType<RedisQueueBackend['moveToCompleted']>>;

type Move = {
  jobId: string;
  lock: string;
  returnValue: string;
  attemptsMade: number;
  /** Its slot is to get another job. */
  wantsNext: boolean;
  resolve: (completed: Completed) => void;
  reject: (err: unknown) => void;
};

/**
 * BullMQ's own backend, but that jobs which complete at about the same time do so in one step, and
 * their slots get their next jobs in the same. BullMQ takes a step for each: what remains of it here
 * are the jobs' states, locks and fields, exactly as BullMQ keeps them, and all its other ways. Two
 * things are left out: events for `QueueEvents`, and what no signal has, such as parents.
 */
export const createGroupedMoves =
  ({ client, keep, lockMs }: GroupedOptions): BackendFactory<RedisQueueBackend> =>
  (name, opts, connections) => {
    const backend = createRedisBackend(name, opts, connections);
    const one = backend.moveToCompleted.bind(backend);
    const move = createScript(client, GROUPED_MOVES);
    const { keys: of } = backend;
    const keys = [of.wait, of.active, of.stalled, of.completed, of.delayed, of.meta, of.marker].map(
      (key = '') => key,
    );
    let gathered: Move[] = [];

    const send = async (moves: Move[]): Promise<void> => {
      const finishedOn = Date.now();
      const fixed = [of[''] ?? '', finishedOn, lockMs, keep.age, keep.count, moves.length];
      const [codes, jobs] = readAnswer(
        await move(keys, [
          ...fixed,
          ...moves.flatMap(({ jobId, returnValue, attemptsMade, lock, wantsNext }) => [
            ...[jobId, lock, returnValue, attemptsMade + 1, wantsNext ? 1 : 0],
          ]),
        ]),
      );
      for (const [index, { jobId, resolve, reject }] of moves.entries()) {
        const code = codes[index] ?? LOST;
        const next = jobs[index];
        if (code < 0) {
          const command = 'moveToFinished';
          reject(backend.finishedErrors({ code, jobId, command, state: 'active' }));
        } else if (Array.isArray(next)) {
          resolve({ result: raw2NextJobData([...next, 0, 0]), finishedOn });
        } else {
          // Without an answer about the next one, BullMQ asks for it in its own way: what is due
          // late, limited or paused is known there.
          resolve({ result: undefined, finishedOn });
        }
      }
    };

    const sendGathered = (): void => {
      const moves = gathered;
      gathered = [];
      for (let at = 0; at < moves.length; at += AT_ONCE) {
        const some = moves.slice(at, at + AT_ONCE);
        send(some).catch((err: unknown) => {
          for (const { reject } of some) reject(err);
        });
      }
    };

    backend.moveToCompleted = (job, returnValue, removeOnComplete, lock, wantsNext) => {
      if (!isPlain(job) || removeOnComplete !== undefined) {
        return one(job, returnValue, removeOnComplete, lock, wantsNext);
      }
      return new Promise((resolve, reject) => {
        if (gathered.length === 0) setImmediate(sendGathered);
        const { id: jobId = '', attemptsMade } = job;
        const text = JSON.stringify(returnValue) ?? 'null';
        gathered.push({ jobId, lock, returnValue: text, attemptsMade, wantsNext, resolve, reject });
      });
    };
    return backend;
  };

/** What somebody else added may have more to it. */
const isPlain = ({
  id,
  parentKey,
  repeatJobKey,
  opts,
}: Pick<Job, 'id' | 'parentKey' | 'repeatJobKey' | 'opts'>) =>
  id !== undefined &&
  parentKey === undefined &&
  repeatJobKey === undefined &&
  opts.deduplication === undefined;

const readAnswer = (answer: unknown): [number[], unknown[]] => {
  const [codes, jobs] = Array.isArray(answer) ? answer : [];
  return [Array.isArray(codes) ? codes.map(Number) : [], Array.isArray(jobs) ? jobs : []];
};
