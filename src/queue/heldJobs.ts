import type { Logger } from '../observability/logger.ts';
import { singleFlight } from '../runtime/async.ts';
import { LOCK_MS } from './jobOptions.ts';
import type { JobSource, TakenJob } from './jobSource.ts';

const EXTEND_LOCKS_INTERVAL_MS = LOCK_MS / 3;

type Deps = {
  source: Pick<JobSource, 'extendLocks'>;
  /** Called when a job is no longer held. */
  onReleased: () => void;
  logger: Logger;
};

/** The jobs that this process has taken and not ended. Extends their locks until they are released. */
export const createHeldJobs = ({ source, onReleased, logger }: Deps) => {
  const held = new Map<string, TakenJob>();
  const ending = new WeakSet<TakenJob>();
  const waiting = new Set<() => void>();
  let bytes = 0;

  const has = (job: TakenJob): boolean => held.get(job.id) === job;

  const release = (job: TakenJob): void => {
    if (!has(job)) return;
    held.delete(job.id);
    bytes -= job.bytes;
    onReleased();
    for (const check of waiting) check();
  };

  const logLost = (job: TakenJob): void => logger.warn({ jobId: job.id }, 'job.lockLost');

  const extendLocks = singleFlight(async (): Promise<void> => {
    const jobs = [...held.values()];
    if (jobs.length === 0) return;
    const lost = new Set(await source.extendLocks(jobs));
    for (const job of jobs) {
      if (!lost.has(job.id) || !has(job) || ending.has(job)) continue;
      logLost(job);
      release(job);
    }
  });
  const timer = setInterval(() => {
    extendLocks().catch((err: unknown) =>
      logger.error({ err }, 'Failed to extend the locks of jobs; trying again'),
    );
  }, EXTEND_LOCKS_INTERVAL_MS);

  return {
    has,
    release,
    logLost,
    size: (): number => held.size,
    bytes: (): number => bytes,

    /** Marks a job that is about to end. The queue then decides whether this process holds it. */
    markEnding: (job: TakenJob): void => void ending.add(job),

    add: (job: TakenJob): void => {
      // The lock of an earlier run was lost unnoticed. Only the new run holds the job.
      const earlier = held.get(job.id);
      if (earlier !== undefined) release(earlier);
      held.set(job.id, job);
      bytes += job.bytes;
    },

    /** Resolves once `condition` is true. Checked at once and after each release. */
    until: (condition: () => boolean): Promise<void> =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!condition()) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),

    stop: (): void => clearInterval(timer),
  };
};
