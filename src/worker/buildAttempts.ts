import type { Logger } from '../observability/logger.ts';
import type { Tracer } from '../observability/tracing.ts';
import type { Bookkeeping, JobDataStore } from '../queue/backend.ts';
import { createJobPool, type JobPoolDeps } from '../queue/jobPool.ts';
import type { DeliveryResult } from './delivery/bisectBatch.ts';
import type { DeliverSet } from './delivery/deliverSet.ts';
import { type CompletedAttempt, createEndAttempt } from './endAttempt.ts';
import type { RetryPolicy } from './evaluateAttempt.ts';
import type { Counters } from './heartbeat.ts';
import type { InFlight } from './inFlight.ts';
import { createRunAlone } from './poisonSignals.ts';
import { createProcessJobs } from './processJobs.ts';
import { createReleaseJob } from './releaseJob.ts';

/** What a delivery needs to know of the worker, and calls with each result. */
export type Attempts = {
  /** Whether this worker still holds the signal's job. */
  isHeld: (inFlight: InFlight) => boolean;
  endAttempt: (inFlight: InFlight, delivery: DeliveryResult) => void;
};

type Deps = Pick<JobPoolDeps<CompletedAttempt>, 'source' | 'capacity' | 'onFailed'> & {
  jobData: JobDataStore;
  bookkeeping: Pick<Bookkeeping, 'saveSkipRecord' | 'markUnsent'>;
  policy: RetryPolicy;
  buildDeliver: (attempts: Attempts) => DeliverSet;
  /** Called when the job of an attempt has completed, after the attempt was counted and logged. */
  onCompleted: (completed: CompletedAttempt) => void;
  /** Fires when the worker stops. */
  abort: AbortSignal;
  logger: Logger;
  metrics: Pick<Counters, 'attempts' | 'deferred'>;
  /** Absent: attempts are not traced. */
  tracer?: Tracer | undefined;
  now: () => number;
  random?: () => number;
};

/** Assembles the life of a job in this worker: taken → attempted → ended. Start the pool with `processJobs`. */
export const buildAttempts = ({
  source,
  capacity,
  onFailed,
  buildDeliver,
  onCompleted,
  random = Math.random,
  ...deps
}: Deps) => {
  const { jobData, bookkeeping, policy, abort, logger, metrics, tracer, now } = deps;
  const pool = createJobPool<CompletedAttempt>({
    source,
    capacity,
    logger,
    onFailed,
    onCompleted: (completed) => {
      reportCompleted(completed);
      onCompleted(completed);
    },
  });
  const releaseJob = createReleaseJob({ pool, jobData, bookkeeping, now });
  const { endAttempt, reportCompleted } = createEndAttempt({
    pool,
    policy,
    jobData,
    bookkeeping,
    releaseJob,
    logger,
    metrics,
    now,
    random,
  });
  const processJobs = createProcessJobs({
    pool,
    deliver: buildDeliver({ isHeld: ({ job }) => pool.holds(job), endAttempt }),
    endAttempt,
    runAlone: createRunAlone({ pool, jobData, abort }),
    releaseJob,
    policy,
    logger,
    tracer,
    now,
  });
  return { pool, processJobs };
};
