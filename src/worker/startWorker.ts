import { v4 as uuidV4 } from 'uuid';

import type { Config } from '../config.ts';
import type { Closers } from '../lifecycle.ts';
import type { Logger } from '../logging.ts';
import { type Metrics, typeLabel } from '../metrics.ts';
import { type Backend, SIGNALS } from '../queue/backend.ts';
import { startLetterWorker } from '../queue/letterWorker.ts';
import { createUndertaker } from '../queue/undertaker.ts';
import { SettlementSchema } from '../schemas/signalJob.ts';
import { backoffMs } from './backoff.ts';
import { createDispatchSignal } from './dispatchSignal.ts';
import { createHttp } from './http.ts';
import { createPartnerToken } from './partnerToken.ts';
import { createProcessor, RetryError } from './processor.ts';
import { createSeekClient } from './seekClient.ts';
import { createSettler } from './settler.ts';

// Left for what has to be done after the last request was let go.
const CLOSING_MS = 3_000;

// A worker that dies takes its neighbours' jobs with it; several crashes in a row are bad luck.
const MAX_STALLED_COUNT = 10;

export type WorkerConfig = Config<'SEEK_CLIENT_ID' | 'SEEK_CLIENT_SECRET'>;

type Deps = {
  backend: Backend;
  config: WorkerConfig;
  closers: Closers;
  logger: Logger;
  metrics: Metrics;
};

/** Starts all that drains the queue: the worker itself, the undertaker, the worker on the letters. */
export const startWorker = async ({ backend, config, closers, logger, metrics }: Deps) => {
  const http = createHttp({
    timeoutMs: config.SEEK_TIMEOUT_MS,
    connections: config.WORKER_CONCURRENCY,
  });
  closers.add('http', http.close);
  const dispatch = createDispatch(config, http, logger, metrics);
  const policy = {
    baseMs: config.RETRY_BASE_MS,
    maxMs: config.RETRY_MAX_MS,
    maxAttempts: config.RETRY_MAX_ATTEMPTS,
    maxAgeMs: config.RETRY_MAX_AGE_MS,
  };

  const settler = createSettler(backend.ledger, logger);
  closers.add('settler', settler.close);
  const undertaker = createUndertaker({ backend, logger, metrics });
  closers.add('undertaker', undertaker.close);
  const onRedriven = () => void undertaker.sweep();
  const letterWorker = await startLetterWorker({ backend, logger, metrics, onRedriven });
  closers.add('letter worker', letterWorker.close);

  const processor = createProcessor({ dispatch, policy, logger, metrics });
  const worker = await backend.work(SIGNALS, processor, {
    concurrency: config.WORKER_CONCURRENCY,
    maxStalledCount: MAX_STALLED_COUNT,
    removeOnComplete: {
      age: Math.ceil(config.KEEP_DELIVERED_MS / 1000),
      count: config.KEEP_DELIVERED_COUNT,
    },
    // Anything but a RetryError is a fault between attempt and queue: planned like any other wait.
    backoffMs: (attempt, err) =>
      err instanceof RetryError ? err.backoffMs : backoffMs({ ...policy, attempt }),
    onFailed: undertaker.onFailed,
    onCompleted: (job) => {
      const settled = SettlementSchema.safeParse(job.returnvalue).data?.outcome;
      if (job.id === undefined || settled === undefined) return;
      settler.add({ signalId: job.id, outcome: settled });
      if (settled !== 'delivered') return;
      metrics.delivered.inc({ type: typeLabel(job.name) });
      metrics.deliverySeconds.observe(Math.max(0, Date.now() - job.timestamp) / 1000);
    },
  });
  closers.add('worker', async () => {
    const closed = worker.close();
    const patience = Math.max(0, config.SHUTDOWN_TIMEOUT_MS - CLOSING_MS);
    const timer = setTimeout(() => worker.abortJobs('stopping'), patience);
    await closed.finally(() => clearTimeout(timer));
  });
  // What a worker left behind when it died between failing a job and burying it.
  void undertaker.sweep();
};

const createDispatch = (
  config: WorkerConfig,
  http: ReturnType<typeof createHttp>,
  logger: Logger,
  metrics: Metrics,
) =>
  createDispatchSignal({
    partnerToken: createPartnerToken({
      http,
      authUrl: config.SEEK_AUTH_URL,
      audience: config.SEEK_AUDIENCE,
      clientId: config.SEEK_CLIENT_ID,
      clientSecret: config.SEEK_CLIENT_SECRET,
      userAgent: config.SEEK_USER_AGENT,
    }),
    send: createSeekClient({
      http,
      apiUrl: config.SEEK_API_URL,
      userAgent: config.SEEK_USER_AGENT,
      logger,
      logBodies: config.LOG_BODIES,
      onRequest: (seconds) => metrics.requestSeconds.observe(seconds),
    }),
    newRequestId: uuidV4,
  });
