import type { Job } from 'bullmq';
import type { JobSource, TakenJob, Wanted } from '../../src/queue/jobSource.ts';
import { jsonBytes } from '../../src/schemas/json.ts';
import { buildSignalJob } from './buildSignal.ts';

/** A job as a worker takes it. */
export const buildTakenJob = (change: Partial<TakenJob> = {}): TakenJob => {
  const { data = buildSignalJob() } = change;
  return {
    id: 'signal-1',
    name: 'ApplicationStatusUpdate',
    data,
    bytes: jsonBytes(data),
    timestamp: Date.parse('2026-03-01T12:00:00.000Z'),
    attemptsMade: 0,
    stalledCounter: 0,
    lock: 'lock-1',
    ...change,
  };
};

/** How a job ended: the method of the source, the job's id, and what the method was called with. */
export type End = readonly [how: string, id: string, ...details: unknown[]];

/** A queue in memory. Jobs that are requeued or delayed do not come back by themselves. */
export const createMemoryJobSource = (doubles: Partial<JobSource> = {}) => {
  const waiting: TakenJob[] = [];
  const active = new Set<TakenJob>();
  const ends: End[] = [];
  let wake = (): void => {};

  const take = (wanted: Wanted): TakenJob[] => {
    let bytes = 0;
    const tooMany = waiting.findIndex((job, n) => {
      bytes += job.bytes;
      return n === wanted.jobs || (n > 0 && bytes > wanted.bytes);
    });
    const taken = waiting.splice(0, tooMany === -1 ? waiting.length : tooMany);
    for (const job of taken) active.add(job);
    return taken;
  };

  const takeOne = (): TakenJob | undefined => take({ jobs: 1, bytes: 0 })[0];

  const end = (how: string, job: TakenJob, ...details: unknown[]): void => {
    if (!active.delete(job)) throw new Error(`Missing lock for job ${job.id}`);
    ends.push([how, job.id, ...details]);
  };

  const source: JobSource = {
    open: async () => {},
    exchange: async (completions, wanted) => {
      const completed = completions.map(({ job, result }) => {
        if (!active.has(job)) return false;
        end('complete', job, result);
        return true;
      });
      return { completed, taken: take(wanted), hasMore: waiting.length > 0 };
    },
    waitForJob: async () => {
      if (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return takeOne();
    },
    stopWaiting: async () => wake(),
    confirm: async (jobs) => jobs,
    extendLocks: async (jobs) => jobs.filter((job) => !active.has(job)).map(({ id }) => id),
    retry: async (job, reason, waitMs) => end('retry', job, reason, waitMs),
    fail: async (job, reason) => {
      end('fail', job, reason);
      return { id: job.id, data: job.data } as unknown as Job;
    },
    delay: async (job, at) => end('delay', job, at),
    requeue: async (job) => end('requeue', job),
    isReachable: () => true,
    close: async () => {},
    ...doubles,
  };

  return {
    source,
    ends,
    add: (...jobs: TakenJob[]): void => {
      waiting.push(...jobs);
      wake();
    },
    /** For a test that decides itself when `waitForJob` resolves. */
    takeOne,
    countWaiting: (): number => waiting.length,
    /** Whether a worker has taken the job, and has neither ended nor lost it. */
    isActive: (job: TakenJob): boolean => active.has(job),
    /** The lock expires, and another worker takes the job. The worker does not learn of it by this. */
    loseLock: (job: TakenJob): void => {
      active.delete(job);
    },
  };
};
