import { createJobPool } from '../../src/queue/jobPool.ts';
import type { JobSource, TakenJob } from '../../src/queue/jobSource.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { buildTakenJob, createMemoryJobSource } from '../support/memoryJobSource.ts';

const { jest } = import.meta;

/** Long enough for exchanges, which follow each other in turns of the event loop. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
};

/** Within a `describe`: time stands still, except for `pass`. Turns of the event loop go on. */
export const useTime = () => {
  beforeEach(() => {
    jest.useFakeTimers({
      doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'],
    });
  });
  afterEach(() => {
    jest.useRealTimers();
  });
};

/** Lets this time pass, and what is due by then happen. */
export const pass = async (ms: number): Promise<void> => {
  await settle();
  await jest.advanceTimersByTimeAsync(ms);
  await settle();
};

export const buildJobs = (...ids: string[]): TakenJob[] =>
  ids.map((id) => buildTakenJob({ id, lock: `lock of ${id}` }));

/** A pool over a queue in memory. The test ends the jobs. */
export const setupPool = (doubles: Partial<JobSource> = {}, capacity = 50) => {
  const queue = createMemoryJobSource(doubles);
  const { logger, lines } = captureLogs();
  const completed: string[] = [];
  const failed: unknown[] = [];
  const sets: TakenJob[][] = [];
  const pool = createJobPool<string>({
    source: queue.source,
    capacity,
    logger,
    onCompleted: (context) => completed.push(context),
    onFailed: ({ id }) => failed.push(id),
  });

  return {
    ...queue,
    pool,
    completed,
    failed,
    /** The sets of jobs that the pool has given out. */
    sets: () => sets.map((jobs) => jobs.map(({ id }) => id)),
    messages: () => lines().map(({ msg }) => msg),
    start: async (run: (jobs: readonly TakenJob[]) => Promise<void> = async () => {}) => {
      pool.start(async (jobs) => {
        sets.push([...jobs]);
        await run(jobs);
      });
      await settle();
    },
    complete: (...jobs: TakenJob[]) => {
      for (const job of jobs) pool.complete(job, { done: job.id }, job.id);
    },
    close: async () => {
      for (const job of sets.flat()) pool.release(job);
      await pool.close();
    },
  };
};
