import type { Job } from 'bullmq';
import type { Logger } from '../observability/logger.ts';
import { codeLabel } from '../observability/metrics.ts';
import { type Backend, type JobQueue, outcomeEventFor, SIGNALS } from '../queue/backend.ts';
import { withTraceId } from '../queue/lookup.ts';
import { queueTimedOut, singleFlight, withDeadline } from '../runtime/async.ts';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { failureText } from '../schemas/signalJob.ts';
import { createMoveToDeadLetters } from './moveToDeadLetters.ts';

const PAGE_SIZE = 100;
const CLOSE_TIMEOUT_MS = 2_000;

type Deps = {
  backend: Backend;
  logger: Logger;
  metrics: { dead: { inc: (labels: { code: string }) => void } };
  /** How often the sweeper searches the failed jobs for those that are not yet dead letters. */
  sweepIntervalMs?: number;
};

/**
 * Moves failed jobs to the dead letters. The worker's event starts the move at once. The sweep makes it
 * certain, because a worker may crash after it fails a job and before the event.
 */
export const createSweeper = ({ backend, logger, metrics, sweepIntervalMs = 5_000 }: Deps) => {
  const moveToDeadLetters = createMoveToDeadLetters(backend);
  const inProgress = new Set<Promise<unknown>>();

  const moveAndReport = async (job: Job): Promise<boolean> => {
    const deadLetter = await moveToDeadLetters(job);
    if (deadLetter === undefined) return false;
    metrics.dead.inc({ code: codeLabel(deadLetter.code) });
    logger.warn(toLogFields(deadLetter), 'signal.deadLettered');
    await recordOutcome(backend, deadLetter);
    return true;
  };

  /** A job that cannot be read or moved now must not delay the others. */
  const moveById = async (queue: JobQueue, jobId: string): Promise<boolean> => {
    try {
      const job = await queue.getJob(jobId);
      return job !== undefined && (await moveAndReport(job));
    } catch (err) {
      logger.error(
        { err, signalId: jobId },
        'Failed to move a signal to the dead letters; the next sweep will retry',
      );
      return false;
    }
  };

  const moveAll = async (): Promise<void> => {
    const queue = await backend.queue(SIGNALS);
    // A job that was not moved stays in the list, so the next page begins behind it.
    for (let start = 0; ; ) {
      const ids = await queue.getRanges(['failed'], start, start + PAGE_SIZE - 1, true);
      if (ids.length === 0) return;
      for (const id of ids) if (!(await moveById(queue, id))) start += 1;
    }
  };

  const track = (work: Promise<unknown>): Promise<void> => {
    const tracked: Promise<void> = work
      .then(() => undefined)
      .catch((err: unknown) =>
        logger.error({ err }, 'Failed to move a signal to the dead letters; the sweep will retry'),
      )
      .finally(() => inProgress.delete(tracked));
    inProgress.add(tracked);
    return tracked;
  };

  const sweep = singleFlight(() => track(moveAll()));

  const timer = setInterval(() => void sweep(), sweepIntervalMs);

  return {
    /** Moves one job, in the background. */
    onFailed: (job: Job): void => {
      if (job.finishedOn !== undefined) void track(moveAndReport(job));
    },
    sweep,
    close: async (): Promise<void> => {
      clearInterval(timer);
      // The timeout loses nothing: the next sweep, of this or another worker, completes every move.
      await withDeadline(Promise.all(inProgress), CLOSE_TIMEOUT_MS, queueTimedOut);
    },
  };
};

const toLogFields = (deadLetter: DeadLetter) => {
  const { signalId, typeCode, code, reason, attempts, redrives, job } = deadLetter;
  return {
    signalId,
    typeCode,
    code,
    reason,
    attempts: attempts.length,
    redrives,
    ...withTraceId(job),
  };
};

const recordOutcome = ({ bookkeeping }: Backend, deadLetter: DeadLetter): Promise<void> => {
  const outcomeEvent = outcomeEventFor(deadLetter.job, {
    requestId: deadLetter.attempts.at(-1)?.requestId,
    reason: failureText(deadLetter),
    at: deadLetter.failedJob.finishedAt,
  });
  return bookkeeping.recordOutcomes([
    { signalId: deadLetter.failedJob.jobId, outcome: 'dead', ...outcomeEvent },
  ]);
};
