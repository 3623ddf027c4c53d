import type { Job } from 'bullmq';
import type { Logger } from '../observability/logger.ts';
import { codeLabel } from '../observability/metrics.ts';
import { type Backend, type JobQueue, outcomeEventFor, SIGNALS } from '../queue/backend.ts';
import { withTraceId } from '../queue/lookup.ts';
import { queueTimedOut, singleFlight, withDeadline } from '../runtime/async.ts';
import { failureText } from '../schemas/signalJob.ts';
import { createMoveToDeadLetters } from './moveToDeadLetters.ts';

const PAGE = 100;
const FINISH_WITHIN_MS = 2_000;

type Deps = {
  backend: Backend;
  logger: Logger;
  metrics: { dead: { inc: (labels: { code: string }) => void } };
  /** How often the failed jobs are looked through for those that nobody buried. */
  sweepEveryMs?: number;
};

/**
 * Moves failed jobs to the dead letters. The worker's event makes it quick, the sweep makes it
 * certain: a worker may die between failing a job and telling anybody.
 */
export const createSweeper = ({ backend, logger, metrics, sweepEveryMs = 5_000 }: Deps) => {
  const burying = createMoveToDeadLetters(backend);
  const underWay = new Set<Promise<unknown>>();

  const moveToDeadLetters = async (job: Job): Promise<boolean> => {
    const deadLetter = await burying(job);
    if (deadLetter === undefined) return false;
    const { signalId, typeCode, code, reason, attempts, redrives } = deadLetter;
    metrics.dead.inc({ code: codeLabel(code) });
    logger.warn(
      {
        ...{ signalId, typeCode, code, reason, attempts: attempts.length, redrives },
        ...withTraceId(deadLetter.job),
      },
      'signal.deadLettered',
    );
    const told = outcomeEventFor(deadLetter.job, {
      ...{ requestId: attempts.at(-1)?.requestId, reason: failureText(deadLetter) },
      at: deadLetter.failedJob.finishedAt,
    });
    await backend.bookkeeping.recordOutcomes([
      { signalId: deadLetter.failedJob.jobId, outcome: 'dead', ...told },
    ]);
    return true;
  };

  /** One that can't be read, or can't be buried now, must not keep the others waiting. */
  const buryOne = async (queue: JobQueue, jobId: string): Promise<boolean> => {
    try {
      const job = await queue.getJob(jobId);
      return job !== undefined && (await moveToDeadLetters(job));
    } catch (err) {
      logger.error({ err, signalId: jobId }, 'Burial failed; the next sweep repeats it');
      return false;
    }
  };

  const lookThrough = async (): Promise<void> => {
    const queue = await backend.queue(SIGNALS);
    // What can't be buried yet stays in the list, so the next page begins behind it.
    for (let left = 0; ; ) {
      const ids = await queue.getRanges(['failed'], left, left + PAGE - 1, true);
      if (ids.length === 0) return;
      for (const id of ids) if (!(await buryOne(queue, id))) left += 1;
    }
  };

  const noted = (work: Promise<unknown>): Promise<void> => {
    const watched: Promise<void> = work
      .then(() => undefined)
      .catch((err: unknown) => logger.error({ err }, 'Burial failed; the sweep repeats it'))
      .finally(() => underWay.delete(watched));
    underWay.add(watched);
    return watched;
  };

  const sweep = singleFlight(() => noted(lookThrough()));

  const timer = setInterval(() => void sweep(), sweepEveryMs);

  return {
    /** Buries one job, in the background. */
    onFailed: (job: Job): void => {
      if (job.finishedOn !== undefined) void noted(moveToDeadLetters(job));
    },
    sweep,
    close: async (): Promise<void> => {
      clearInterval(timer);
      // Left at any line, a burial is finished by the next sweep, here or elsewhere.
      await withDeadline(Promise.all(underWay), FINISH_WITHIN_MS, queueTimedOut);
    },
  };
};
