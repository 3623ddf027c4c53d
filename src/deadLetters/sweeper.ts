import type { Job } from 'bullmq';
import type { Logger } from '../observability/logger.ts';
import { codeLabel } from '../observability/metrics.ts';
import { type Backend, type JobQueue, SIGNALS, settlementOf } from '../queue/backend.ts';
import { traced } from '../queue/lookup.ts';
import { queueIsSilent, sharedRun, withDeadline } from '../runtime/async.ts';
import { failureText } from '../schemas/signalJob.ts';
import { createBury } from './moveToDeadLetters.ts';

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
export const createUndertaker = ({ backend, logger, metrics, sweepEveryMs = 5_000 }: Deps) => {
  const burying = createBury(backend);
  const underWay = new Set<Promise<unknown>>();

  const bury = async (job: Job): Promise<boolean> => {
    const letter = await burying(job);
    if (letter === undefined) return false;
    const { signalId, typeCode, code, reason, attempts, redrives } = letter;
    metrics.dead.inc({ code: codeLabel(code) });
    logger.warn(
      {
        ...{ signalId, typeCode, code, reason, attempts: attempts.length, redrives },
        ...traced(letter.job),
      },
      'signal.buried',
    );
    const told = settlementOf(letter.job, {
      ...{ requestId: attempts.at(-1)?.requestId, reason: failureText(letter) },
      at: letter.burial.finishedAt,
    });
    await backend.ledger.settle([{ signalId: letter.burial.jobId, outcome: 'dead', ...told }]);
    return true;
  };

  /** One that can't be read, or can't be buried now, must not keep the others waiting. */
  const buryOne = async (queue: JobQueue, jobId: string): Promise<boolean> => {
    try {
      const job = await queue.getJob(jobId);
      return job !== undefined && (await bury(job));
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

  const sweep = sharedRun(() => noted(lookThrough()));

  const timer = setInterval(() => void sweep(), sweepEveryMs);

  return {
    /** Buries one job, in the background. */
    onFailed: (job: Job): void => {
      if (job.finishedOn !== undefined) void noted(bury(job));
    },
    sweep,
    close: async (): Promise<void> => {
      clearInterval(timer);
      // Left at any line, a burial is finished by the next sweep, here or elsewhere.
      await withDeadline(Promise.all(underWay), FINISH_WITHIN_MS, queueIsSilent);
    },
  };
};
