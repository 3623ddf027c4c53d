import type { WorkerOptions as BullOptions, Job, Worker } from 'bullmq';

import type { Logger } from '../logging.ts';
import type { JobWorker, WorkerOptions } from './backend.ts';

const LOG_EVERY_MS = 10_000;

/** Our options in BullMQ's terms. What a job carries itself would win, so jobs carry none of these. */
export const toBullOptions = ({
  concurrency,
  maxStalledCount,
  removeOnComplete,
  backoffMs,
}: WorkerOptions): Omit<BullOptions<never>, 'connection'> => ({
  concurrency,
  maxStalledCount,
  ...(removeOnComplete ? { removeOnComplete } : {}),
  ...(backoffMs
    ? {
        settings: {
          backoffStrategy: (attemptsMade: number, _type?: string, err?: Error) =>
            backoffMs(attemptsMade, err),
        },
      }
    : {}),
});

type Events = Pick<Worker, 'close' | 'cancelAllJobs'> & {
  on(event: 'error', listener: (err: Error) => void): unknown;
  on(event: 'active', listener: () => void): unknown;
  on(event: 'failed', listener: (job: Job | undefined) => void): unknown;
  on(event: 'completed', listener: (job: Job) => void): unknown;
};

type Around = { logger: Logger; isReachable: () => boolean };

export const toJobWorker = (
  worker: Events,
  options: WorkerOptions,
  { logger, isReachable }: Around,
): JobWorker => {
  let quietUntil = 0;
  let inHand = 0;

  worker.on('error', (err: NodeJS.ErrnoException) => {
    // The connection speaks for itself.
    if (err.code === 'ECONNREFUSED' || Date.now() < quietUntil) return;
    quietUntil = Date.now() + LOG_EVERY_MS;
    logger.error({ err }, 'Queue worker failed');
  });
  worker.on('active', () => {
    inHand += 1;
  });
  worker.on('failed', (job) => {
    inHand -= 1;
    if (job !== undefined) options.onFailed?.(job);
  });
  worker.on('completed', (job) => {
    inHand -= 1;
    options.onCompleted?.(job);
  });

  return {
    // BullMQ waits for the queue before it lets a worker go, if need be for ever. A worker that has
    // nothing to tell it need not.
    close: () => worker.close(inHand === 0 && !isReachable()),
    abortJobs: (reason) => worker.cancelAllJobs(reason),
  };
};
