import { hostname } from 'node:os';
import { v4 as uuidV4 } from 'uuid';

import { patienceOf } from '../config/config.ts';
import { startLetterWorker } from '../deadLetters/redriveWorker.ts';
import { createUndertaker } from '../deadLetters/sweeper.ts';
import type { Logger } from '../observability/logger.ts';
import { type Metrics, typeLabel } from '../observability/metrics.ts';
import type { Tracer } from '../observability/tracing.ts';
import { type Backend, type JobWorker, SIGNALS, settlementOf } from '../queue/backend.ts';
import { queueIsSilent, withDeadline } from '../runtime/async.ts';
import type { Closers } from '../runtime/lifecycle.ts';
import type { TokenCipher } from '../runtime/tokenCipher.ts';
import { traceIdOf } from '../schemas/traceContext.ts';
import type { SeekTokens } from '../seekTokens/registry.ts';
import { type Credentials, composeDispatch, type WorkerConfig } from './buildDelivery.ts';
import { createLane } from './circuitBreaker/circuitBreaker.ts';
import { createBind } from './delivery/resolveToken.ts';
import { backoffMs } from './evaluateAttempt.ts';
import { countAnswers, createHeartbeat } from './heartbeat.ts';
import { createProcessor, RetryError } from './processor.ts';
import { createSettler } from './recordOutcomes.ts';
import { createHttp } from './seek/http.ts';
import { traceHttp } from './seek/tracedHttp.ts';
import { createProgressWatch, isWorkDue } from './stallDetector.ts';

const CONCURRENCY = 50;
// One that gathers, and some under way: see docs/performance.md.
const BATCHES = 4;
const YIELD_WITHIN_MS = 500;

// Longer than any signal can be in hand without a turn of the loop, however slow SEEK is.
const PATIENCE_MS = 60_000;

type Deps = {
  backend: Backend;
  seekTokens: Pick<SeekTokens, 'lookup'>;
  cipher: Pick<TokenCipher, 'open'>;
  config: WorkerConfig;
  /** The credentials as they are at present; those of `config` unless given. */
  secrets?: () => Credentials;
  closers: Closers;
  logger: Logger;
  metrics: Metrics;
  /** What the liveness probe asks. */
  vitals: (() => boolean)[];
  /** Where attempts and requests are traced. */
  tracer?: Tracer | undefined;
};

/** Starts all that drains the queue: the worker itself, the undertaker, the worker on the letters. */
export const startWorker = async ({ backend, config, closers, logger, metrics, ...deps }: Deps) => {
  const { seekTokens, cipher, vitals, tracer, secrets = () => config } = deps;
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

  const settler = createSettler({
    ...{ ledger: backend.ledger, index: backend.index },
    ...{ mostKept: config.KEEP_DELIVERED_COUNT, logger },
  });
  closers.add('settler', settler.close);
  const { history } = backend;
  const id = uuidV4();
  // Every container may have the host's name, and a process 1.
  const name = `${hostname()}:${process.pid}:${id.slice(0, 4)}`;
  const heartbeat = createHeartbeat({ history, worker: name });
  closers.add('heartbeat', heartbeat.close);
  const counted = countAnswers(heartbeat.count, metrics);
  const undertaker = createUndertaker({ backend, logger, metrics });
  closers.add('undertaker', undertaker.close);
  const onRedriven = () => void undertaker.sweep();
  const letterWorker = await startLetterWorker({ backend, logger, metrics, onRedriven });
  closers.add('letter worker', letterWorker.close);

  let worker: JobWorker | undefined;
  const slots = { none: 0, one: 1, all: concurrency };
  const lane = createLane({
    store: backend.lane,
    id,
    throttle: (most) => worker?.throttle(slots[most]),
    perSecond: config.RATE_LIMIT_PER_SECOND,
    pauseMaxMs: config.LANE_PAUSE_MAX_MS,
    logger,
  });
  const bind = createBind({ tokens: seekTokens, cipher, expired: config.EXPIRED_TOKENS });
  const onRequest = settler.noteRequest;
  const dispatch = composeDispatch({
    config,
    secrets,
    lane,
    bind,
    http,
    onRequest,
    logger,
    metrics: counted,
  });
  const processor = createProcessor({
    dispatch,
    policy,
    jobData: backend.jobData,
    ledger: backend.ledger,
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
    onFailed: undertaker.onFailed,
    onCompleted: (job, { outcome, attempt }) => {
      const { requestId, reason } = attempt ?? {};
      settler.add({
        ...{ signalId: job.id ?? '', outcome },
        ...settlementOf(job.data, { requestId, reason, at: Date.now() }),
      });
      if (outcome === 'skipped') {
        metrics.skipped.inc({ reason: attempt?.reason ?? '' });
        return;
      }
      if (attempt?.bound?.expired) {
        metrics.expiredTokens.inc();
        const traceId = traceIdOf(job.data);
        logger.warn({ signalId: job.id, ...attempt.bound, traceId }, 'signal.sentWithExpiredToken');
      }
      metrics.delivered.inc({ type: typeLabel(job.name) });
      metrics.deliverySeconds.observe(Math.max(0, Date.now() - job.timestamp) / 1000);
    },
  });
  const { turnedAt } = worker;
  // After the worker: it holds on to its probe for as long as that is under way.
  closers.add('lane', () => withDeadline(lane.stop(), YIELD_WITHIN_MS, queueIsSilent));
  closers.add('worker', () => stop(worker, patienceOf(config)));

  const patienceMs = Math.max(PATIENCE_MS, 5 * config.SEEK_TIMEOUT_MS);
  const watch = createProgressWatch({
    isWorkDue: async () => !lane.isHeldBack() && (await isWorkDue(backend, patienceMs)),
    ...{ turnedAt, patienceMs },
  });
  vitals.push(watch.isAlive);
  closers.add('progress watch', async () => watch.stop());
  // What a worker left behind when it died between failing a job and burying it.
  void undertaker.sweep();
  return { concurrency };
};

/** Lets the signals in hand come to an end, and aborts those that have not when time is short. */
const stop = async (worker: JobWorker, patienceMs: number): Promise<void> => {
  const closed = worker.close();
  const timer = setTimeout(() => worker.abortJobs('stopping'), patienceMs);
  await closed.finally(() => clearTimeout(timer));
};
