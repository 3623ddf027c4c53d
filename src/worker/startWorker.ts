import { hostname } from 'node:os';
import { v4 as uuidV4 } from 'uuid';

import { shutdownGraceMs } from '../config/config.ts';
import { startRedriveWorker } from '../deadLetters/redriveWorker.ts';
import { createSweeper } from '../deadLetters/sweeper.ts';
import type { Logger } from '../observability/logger.ts';
import { type Metrics, typeLabel } from '../observability/metrics.ts';
import type { Tracer } from '../observability/tracing.ts';
import { type Backend, type JobWorker, outcomeEventFor, SIGNALS } from '../queue/backend.ts';
import { queueTimedOut, withDeadline } from '../runtime/async.ts';
import type { Closers } from '../runtime/lifecycle.ts';
import type { TokenCipher } from '../runtime/tokenCipher.ts';
import { traceIdOf } from '../schemas/traceContext.ts';
import type { SeekTokens } from '../seekTokens/registry.ts';
import { buildDelivery, type Credentials, type WorkerConfig } from './buildDelivery.ts';
import { createCircuitBreaker } from './circuitBreaker/circuitBreaker.ts';
import { createResolveToken } from './delivery/resolveToken.ts';
import { backoffMs } from './evaluateAttempt.ts';
import { countAnswers, createHeartbeat } from './heartbeat.ts';
import { createProcessor, RetryError } from './processor.ts';
import { createOutcomeRecorder } from './recordOutcomes.ts';
import { createHttp } from './seek/http.ts';
import { traceHttp } from './seek/tracedHttp.ts';
import { createStallDetector, hasDueWork } from './stallDetector.ts';

const CONCURRENCY = 50;
// One that gathers, and some under way: see docs/operations/performance.md.
const BATCHES = 4;
const YIELD_WITHIN_MS = 500;

// Longer than any signal can be in hand without a turn of the loop, however slow SEEK is.
const PATIENCE_MS = 60_000;

type Deps = {
  backend: Backend;
  seekTokens: Pick<SeekTokens, 'lookup'>;
  cipher: Pick<TokenCipher, 'decrypt'>;
  config: WorkerConfig;
  /** The credentials as they are at present; those of `config` unless given. */
  secrets?: () => Credentials;
  closers: Closers;
  logger: Logger;
  metrics: Metrics;
  /** What the liveness probe asks. */
  livenessChecks: (() => boolean)[];
  /** Where attempts and requests are traced. */
  tracer?: Tracer | undefined;
};

/** Starts all that drains the queue: the worker itself, the undertaker, the worker on the dead letters. */
export const startWorker = async ({ backend, config, closers, logger, metrics, ...deps }: Deps) => {
  const { seekTokens, cipher, livenessChecks, tracer, secrets = () => config } = deps;
  const policy = {
    baseMs: config.RETRY_BASE_MS,
    maxMs: config.RETRY_MAX_MS,
    maxAttempts: config.RETRY_MAX_ATTEMPTS,
    maxAgeMs: config.RETRY_MAX_AGE_MS,
  };
  const concurrency =
    config.WORKER_CONCURRENCY ?? Math.max(CONCURRENCY, BATCHES * config.BATCH_SIZE);
  const untraced = createHttp({ timeoutMs: config.SEEK_TIMEOUT_MS, connections: concurrency });
  const http = tracer === undefined ? untraced : traceHttp(untraced, tracer);
  closers.add('http', http.close);

  const outcomeRecorder = createOutcomeRecorder({
    ...{ bookkeeping: backend.bookkeeping, index: backend.index },
    ...{ mostKept: config.KEEP_DELIVERED_COUNT, logger },
  });
  closers.add('settler', outcomeRecorder.close);
  const { workerStats } = backend;
  const id = uuidV4();
  // Every container may have the host's name, and a process 1.
  const name = `${hostname()}:${process.pid}:${id.slice(0, 4)}`;
  const heartbeat = createHeartbeat({ workerStats, worker: name });
  closers.add('heartbeat', heartbeat.close);
  const counted = countAnswers(heartbeat.count, metrics);
  const sweeper = createSweeper({ backend, logger, metrics });
  closers.add('undertaker', sweeper.close);
  const onRedriven = () => void sweeper.sweep();
  const redriveWorker = await startRedriveWorker({ backend, logger, metrics, onRedriven });
  closers.add('letter worker', redriveWorker.close);

  let worker: JobWorker | undefined;
  const slots = { none: 0, one: 1, all: concurrency };
  const breaker = createCircuitBreaker({
    store: backend.breaker,
    id,
    setConcurrency: (most) => worker?.setConcurrency(slots[most]),
    perSecond: config.RATE_LIMIT_PER_SECOND,
    pauseMaxMs: config.DELIVERY_SUSPEND_MAX_MS,
    logger,
  });
  const resolveToken = createResolveToken({
    tokens: seekTokens,
    cipher,
    expired: config.EXPIRED_TOKENS,
  });
  const onRequest = outcomeRecorder.noteRequest;
  const dispatch = buildDelivery({
    config,
    secrets,
    breaker,
    resolveToken,
    http,
    onRequest,
    logger,
    metrics: counted,
  });
  const processor = createProcessor({
    dispatch,
    policy,
    jobData: backend.jobData,
    bookkeeping: backend.bookkeeping,
    logger,
    metrics: counted,
    tracer,
  });
  worker = await backend.work(SIGNALS, processor, {
    concurrency,
    removeOnComplete: {
      age: Math.ceil(config.KEEP_DELIVERED_MS / 1000),
      count: config.KEEP_DELIVERED_COUNT,
    },
    // Anything but a RetryError is a fault between attempt and queue: planned like any other wait.
    backoffMs: (attempt, err) =>
      err instanceof RetryError ? err.backoffMs : backoffMs({ ...policy, attempt }),
    onFailed: sweeper.onFailed,
    onCompleted: (job, { outcome, attempt }) => {
      const { requestId, reason } = attempt ?? {};
      outcomeRecorder.add({
        ...{ signalId: job.id ?? '', outcome },
        ...outcomeEventFor(job.data, { requestId, reason, at: Date.now() }),
      });
      if (outcome === 'skipped') {
        metrics.skipped.inc({ reason: attempt?.reason ?? '' });
        return;
      }
      if (attempt?.tokenUsed?.expired) {
        metrics.expiredTokens.inc();
        const traceId = traceIdOf(job.data);
        logger.warn(
          { signalId: job.id, ...attempt.tokenUsed, traceId },
          'signal.sentWithExpiredToken',
        );
      }
      metrics.delivered.inc({ type: typeLabel(job.name) });
      metrics.deliverySeconds.observe(Math.max(0, Date.now() - job.timestamp) / 1000);
    },
  });
  const { lastActivityAt } = worker;
  // After the worker: it holds on to its probe for as long as that is under way.
  closers.add('lane', () => withDeadline(breaker.stop(), YIELD_WITHIN_MS, queueTimedOut));
  closers.add('worker', () => stop(worker, shutdownGraceMs(config)));

  const patienceMs = Math.max(PATIENCE_MS, 5 * config.SEEK_TIMEOUT_MS);
  const watch = createStallDetector({
    hasDueWork: async () => !breaker.isHeldBack() && (await hasDueWork(backend, patienceMs)),
    ...{ lastActivityAt, patienceMs },
  });
  livenessChecks.push(watch.isAlive);
  closers.add('progress watch', async () => watch.stop());
  // What a worker left behind when it died between failing a job and burying it.
  void sweeper.sweep();
  return { concurrency };
};

/** Lets the signals in hand come to an end, and aborts those that have not when time is short. */
const stop = async (worker: JobWorker, patienceMs: number): Promise<void> => {
  const closed = worker.close();
  const timer = setTimeout(() => worker.abortJobs('stopping'), patienceMs);
  await closed.finally(() => clearTimeout(timer));
};
