import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { v4 as uuidV4 } from 'uuid';

import { shutdownGraceMs } from '../config/config.ts';
import { proxyFor } from '../config/proxy.ts';
import { MAX_REDRIVES_IN_FLIGHT, startRedriveWorker } from '../deadLetters/redriveWorker.ts';
import { createSweeper } from '../deadLetters/sweeper.ts';
import type { Logger } from '../observability/logger.ts';
import { type Metrics, typeLabel } from '../observability/metrics.ts';
import type { Tracer } from '../observability/tracing.ts';
import { type Backend, outcomeEventFor, SIGNALS } from '../queue/backend.ts';
import type { JobPool } from '../queue/jobPool.ts';
import { queueTimedOut, withDeadline } from '../runtime/async.ts';
import type { Closers } from '../runtime/lifecycle.ts';
import type { TokenCipher } from '../runtime/tokenCipher.ts';
import { traceIdOf } from '../schemas/traceContext.ts';
import type { Positions } from '../seekTokens/positions.ts';
import type { SeekTokens } from '../seekTokens/registry.ts';
import { buildAttempts } from './buildAttempts.ts';
import { buildDelivery, type Credentials, type WorkerConfig } from './buildDelivery.ts';
import { createCircuitBreaker } from './circuitBreaker/circuitBreaker.ts';
import type { Concurrency } from './circuitBreaker/localBreaker.ts';
import { createClockGuard } from './clockGuard.ts';
import { createResolveIdentifiers } from './delivery/resolveIdentifiers.ts';
import type { CompletedAttempt } from './endAttempt.ts';
import type { RetryPolicy } from './evaluateAttempt.ts';
import { countOutcomes, createHeartbeat } from './heartbeat.ts';
import { createOutcomeRecorder, type OutcomeRecorder } from './recordOutcomes.ts';
import { createHttp } from './seek/http.ts';
import { traceHttp } from './seek/tracedHttp.ts';
import { createStallDetector, hasDueWork } from './stallDetector.ts';

const DEFAULT_CONCURRENCY = 50;
// Concurrent batches per worker: one filling, three in flight. See docs/operations/performance.md.
const CONCURRENT_BATCHES = 4;
const BREAKER_STOP_TIMEOUT_MS = 500;

// Longer than a slow SEEK can keep the worker's loop without activity.
const MIN_IDLE_MS = 60_000;

type Deps = {
  backend: Backend;
  seekTokens: Pick<SeekTokens, 'lookup'>;
  positions: Pick<Positions, 'find'>;
  cipher: Pick<TokenCipher, 'decrypt'>;
  config: WorkerConfig;
  /** Returns the current credentials. Default: those of `config`. */
  secrets?: () => Credentials;
  closers: Closers;
  logger: Logger;
  metrics: Metrics;
  /** The checks of the liveness probe. `startWorker` adds one. */
  livenessChecks: (() => boolean)[];
  /** The checks of the readiness probe. `startWorker` adds one. */
  readinessChecks: (() => void)[];
  /** Absent: attempts and requests are not traced. */
  tracer?: Tracer | undefined;
};

/** Starts what empties the queue: the worker, the dead-letter sweeper and the redrive worker. */
export const startWorker = async ({ backend, config, closers, logger, metrics, ...deps }: Deps) => {
  const { seekTokens, positions, cipher, tracer, secrets = () => config } = deps;
  const { livenessChecks, readinessChecks } = deps;
  const concurrency =
    config.WORKER_CONCURRENCY ??
    Math.max(DEFAULT_CONCURRENCY, CONCURRENT_BATCHES * config.BATCH_SIZE);
  const untraced = createHttp({
    timeoutMs: config.SEEK_TIMEOUT_MS,
    connections: concurrency,
    proxyFor: (url) => proxyFor(config, url),
  });
  const http = tracer === undefined ? untraced : traceHttp(untraced, tracer);
  closers.add('http', http.close);

  const outcomeRecorder = createOutcomeRecorder({
    bookkeeping: backend.bookkeeping,
    index: backend.index,
    maxIndexedSignals: config.KEEP_DELIVERED_COUNT,
    logger,
  });
  closers.add('outcome recorder', outcomeRecorder.close);
  const { workerStats } = backend;
  const id = uuidV4();
  // The id makes the name unique: containers can share a host name, and all run as process 1.
  const name = `${hostname()}:${process.pid}:${id.slice(0, 4)}`;
  const heartbeat = createHeartbeat({ workerStats, worker: name });
  closers.add('heartbeat', heartbeat.close);
  const counted = countOutcomes(heartbeat.count, metrics);
  const { sweeper, redriveWorker } = startDeadLetterWork({
    backend,
    closers,
    logger,
    metrics,
  });

  let allowed: Concurrency = 'all';
  const limitCapacity = (): void => {
    const isRight = clockGuard.isRight();
    pool.setCapacity(isRight ? { none: 0, one: 1, all: concurrency }[allowed] : 0);
    redriveWorker.setCapacity(isRight ? MAX_REDRIVES_IN_FLIGHT : 0);
  };
  const clockGuard = createClockGuard({ clock: backend.clock, onChange: limitCapacity, logger });
  closers.add('clock guard', async () => clockGuard.stop());
  readinessChecks.push(clockGuard.assertRight);
  const breaker = createCircuitBreaker({
    store: backend.breaker,
    id,
    setConcurrency: (concurrent) => {
      allowed = concurrent;
      limitCapacity();
    },
    perSecond: config.RATE_LIMIT_PER_SECOND,
    pauseMaxMs: config.DELIVERY_SUSPEND_MAX_MS,
    logger,
  });
  const stopping = new AbortController();
  // Each request in flight listens to it.
  setMaxListeners(0, stopping.signal);
  const { pool, processJobs } = buildAttempts({
    source: backend.openJobs(SIGNALS, {
      age: Math.ceil(config.KEEP_DELIVERED_MS / 1000),
      count: config.KEEP_DELIVERED_COUNT,
    }),
    capacity: concurrency,
    jobData: backend.jobData,
    bookkeeping: backend.bookkeeping,
    policy: retryPolicyOf(config),
    buildDeliver: (attempts) =>
      buildDelivery({
        config,
        secrets,
        breaker,
        resolveIdentifiers: createResolveIdentifiers({
          seekTokens,
          positions,
          cipher,
          expired: config.EXPIRED_TOKENS,
        }),
        http,
        onRequest: outcomeRecorder.addRequest,
        attempts,
        abort: stopping.signal,
        logger,
        metrics: counted,
      }),
    onFailed: sweeper.onFailed,
    onCompleted: (completed) => recordCompleted(completed, { outcomeRecorder, metrics, logger }),
    abort: stopping.signal,
    logger,
    metrics: counted,
    tracer,
    now: backend.clock.estimate,
  });
  pool.start(processJobs);
  limitCapacity();
  // Added before the worker, so closed after it: the worker keeps its probe until that has ended.
  closers.add('circuit breaker', () =>
    withDeadline(breaker.stop(), BREAKER_STOP_TIMEOUT_MS, queueTimedOut),
  );
  closers.add('worker', () => stop(pool, stopping, shutdownGraceMs(config)));

  const maxIdleMs = Math.max(MIN_IDLE_MS, 5 * config.SEEK_TIMEOUT_MS);
  const stallDetector = createStallDetector({
    hasDueWork: async () =>
      clockGuard.isRight() && !breaker.isHeldBack() && (await hasDueWork(backend, maxIdleMs)),
    lastActivityAt: pool.lastActivityAt,
    maxIdleMs,
  });
  livenessChecks.push(stallDetector.isAlive);
  closers.add('stall detector', async () => stallDetector.stop());
  // A worker may have crashed after a job failed and before the job became a dead letter.
  void sweeper.sweep();
  return { concurrency };
};

const retryPolicyOf = (config: WorkerConfig): RetryPolicy => ({
  baseMs: config.RETRY_BASE_MS,
  maxMs: config.RETRY_MAX_MS,
  maxAttempts: config.RETRY_MAX_ATTEMPTS,
  maxAgeMs: config.RETRY_MAX_AGE_MS,
});

/** Starts the dead-letter sweeper, and the redrive worker, which triggers a sweep. */
const startDeadLetterWork = ({
  backend,
  closers,
  logger,
  metrics,
}: Pick<Deps, 'backend' | 'closers' | 'logger' | 'metrics'>) => {
  const sweeper = createSweeper({ backend, logger, metrics });
  closers.add('dead-letter sweeper', sweeper.close);
  const onRedriven = () => void sweeper.sweep();
  const redriveWorker = startRedriveWorker({ backend, logger, metrics, onRedriven });
  closers.add('redrive worker', redriveWorker.close);
  return { sweeper, redriveWorker };
};

type CompletionDeps = Pick<Deps, 'logger' | 'metrics'> & { outcomeRecorder: OutcomeRecorder };

/** Records the outcome of a completed job: one that was delivered or skipped. */
const recordCompleted = (
  { job, attempt, result: { outcome } }: CompletedAttempt,
  { outcomeRecorder, metrics, logger }: CompletionDeps,
): void => {
  const { requestId, reason } = attempt;
  outcomeRecorder.addOutcome({
    signalId: job.id,
    outcome,
    ...outcomeEventFor(job.data, { requestId, reason, at: Date.now() }),
  });
  if (outcome === 'skipped') {
    metrics.skipped.inc({ reason: reason ?? '' });
    return;
  }
  if (attempt.tokenUsed?.expired) {
    metrics.expiredTokens.inc();
    const traceId = traceIdOf(job.data);
    logger.warn({ signalId: job.id, ...attempt.tokenUsed, traceId }, 'signal.sentWithExpiredToken');
  }
  metrics.delivered.inc({ type: typeLabel(job.name) });
  metrics.deliverySeconds.observe(Math.max(0, Date.now() - job.timestamp) / 1000);
};

/** Waits for the signals in flight, and aborts those that outlast the grace period. */
const stop = async (
  pool: Pick<JobPool<unknown>, 'close'>,
  stopping: AbortController,
  graceMs: number,
): Promise<void> => {
  const timer = setTimeout(() => stopping.abort('stopping'), graceMs);
  await pool.close().finally(() => clearTimeout(timer));
};
