import type { Logger } from '../observability/logger.ts';
import type { Tracer } from '../observability/tracing.ts';
import type { JobPool } from '../queue/jobPool.ts';
import type { TakenJob } from '../queue/jobSource.ts';
import type { SignalJob } from '../schemas/signalJob.ts';
import { createAttemptSpan } from './attemptSpan.ts';
import type { DeliveryResult } from './delivery/bisectBatch.ts';
import type { DeliverSet } from './delivery/deliverSet.ts';
import type { RetryPolicy } from './evaluateAttempt.ts';
import type { InFlight } from './inFlight.ts';
import { isSuspectedPoison, poisonFailureOf, type RunAlone } from './poisonSignals.ts';
import { type ReadJob, readJob } from './readJob.ts';
import type { ReleaseJob } from './releaseJob.ts';

type Deps = {
  pool: Pick<JobPool<unknown>, 'fail'>;
  deliver: DeliverSet;
  endAttempt: (inFlight: InFlight, delivery: DeliveryResult) => void;
  runAlone: RunAlone;
  releaseJob: Pick<ReleaseJob, 'leaveForNewerVersion'>;
  policy: Pick<RetryPolicy, 'maxAgeMs'>;
  logger: Logger;
  /** Absent: attempts are not traced. */
  tracer?: Tracer | undefined;
  now: () => number;
};

/**
 * Makes one attempt for each job of a set. Plain signals go on together. A job that is no signal, is of a
 * newer version, or may be the reason for crashes leaves the set.
 */
export const createProcessJobs = ({ pool, deliver, endAttempt, policy, now, ...deps }: Deps) => {
  const { runAlone, releaseJob, logger, tracer } = deps;

  const startAttempt = (job: TakenJob, signalJob: SignalJob): InFlight => ({
    job,
    signalJob,
    startedAt: now(),
    span: tracer && createAttemptSpan(tracer, job, signalJob),
  });

  const attemptAlone = async (job: TakenJob, signalJob: SignalJob): Promise<void> => {
    const stored = withoutCrashes(signalJob);
    let inFlight: InFlight | undefined;
    const delivery = await runAlone(job, signalJob, () => {
      inFlight = startAttempt(job, stored);
      return deliver.deliverAlone(inFlight);
    });
    endAttempt(inFlight ?? { job, signalJob: stored, startedAt: now(), span: undefined }, delivery);
  };

  /** What becomes of a job that cannot be attempted with others. `undefined`: it can. */
  const leaveSet = (job: TakenJob, read: ReadJob): Promise<void> | undefined => {
    if (read.kind === 'newer' && now() - job.timestamp < policy.maxAgeMs) {
      logger.info({ signalId: job.id, version: read.version }, 'signal.leftForNewerVersion');
      return releaseJob.leaveForNewerVersion(job);
    }
    if (read.kind !== 'signal') return pool.fail(job, read.failure);
    const poisonFailure = poisonFailureOf(job, read.signalJob);
    if (poisonFailure !== undefined) return pool.fail(job, poisonFailure);
    return isSuspectedPoison(job) ? attemptAlone(job, read.signalJob) : undefined;
  };

  return async (jobs: readonly TakenJob[]): Promise<void> => {
    const set: InFlight[] = [];
    const left: Promise<void>[] = [];
    for (const job of jobs) {
      const read = readJob(job.data);
      const leaving = leaveSet(job, read);
      if (leaving !== undefined) left.push(leaving);
      else if (read.kind === 'signal') set.push(startAttempt(job, withoutCrashes(read.signalJob)));
    }
    if (set.length > 0) left.push(deliver.deliverSet(set));
    await Promise.all(left);
  };
};

/** After an attempt that did not crash, earlier crashes do not count. */
const withoutCrashes = (signalJob: SignalJob): SignalJob => {
  if (signalJob.isolatedCrashes === undefined) return signalJob;
  const { isolatedCrashes, ...stored } = signalJob;
  return stored;
};
