import type { Config } from '../../config/config.ts';
import { describeConfig } from '../../config/config.ts';
import { createHealthChecks } from '../../observability/health.ts';
import { createLogger, type Logger } from '../../observability/logger.ts';
import { createMetrics } from '../../observability/metrics.ts';
import type { Tracer } from '../../observability/tracing.ts';
import type { OutboxReading } from '../../producer/outbox/rows.ts';
import type { Backend } from '../../queue/backend.ts';
import { type ExplainFailure, explainLocalFailure } from '../../queue/failure.ts';
import type { ConnectionProfile } from '../../queue/redis/connection.ts';
import { openRedis } from '../../queue/redis/openRedis.ts';
import { queueTimedOut, withDeadline } from '../../runtime/async.ts';
import { messageOf } from '../../runtime/errors.ts';
import { createClosers } from '../../runtime/lifecycle.ts';
import { compose } from '../compose.ts';
import { checkNeed, createReadiness, type Need } from './readiness.ts';

const QUEUE_TIMEOUT_MS = 2_000;
const OUTBOX_TIMEOUT_MS = 1_500;
// Seek tokens that expire within 14 days are counted as expiring.
const EXPIRY_NOTICE_MS = 14 * 24 * 3_600_000;

/** The outbox in the ATS's database. Only a relay has one. */
type Outbox = { read: () => Promise<OutboxReading | undefined>; ping: () => Promise<unknown> };

type ServiceOptions = {
  /** What the process needs of the queue to be ready. Default: all. */
  need?: Need;
  outbox?: Outbox;
};

// Only the clock of a worker has such a check.
const explainNotReady: ExplainFailure = (err) => ({ code: 'CLOCK', message: messageOf(err) });

const NO_OUTBOX: Outbox = { read: async () => undefined, ping: async () => {} };

/** What every long-running process has in common: metrics, probes and closers around its queue. */
export const createService = (
  backend: Backend,
  logger: Logger,
  config: Config,
  { need = 'accept', outbox = NO_OUTBOX }: ServiceOptions = {},
) => {
  const closers = createClosers(logger);
  closers.add('queue', backend.close);
  const composition = compose(config, backend, logger);
  const { status, seekTokens } = composition;
  const read = () =>
    Promise.all([status(), backend.memoryUse(), seekTokens.countExpiring(EXPIRY_NOTICE_MS)]);
  const readQueue = async () => {
    // First, so that scrapes during an outage fail here and do not accumulate waiting commands.
    await withDeadline(backend.ping(), QUEUE_TIMEOUT_MS, queueTimedOut);
    const [reading, memory, tokensExpiring] = await withDeadline(
      read(),
      QUEUE_TIMEOUT_MS,
      queueTimedOut,
    );
    return {
      memory,
      tokensExpiring,
      counts: reading.counts,
      backlog: reading.backlog,
      workers: reading.workers,
      oldestUnsentSeconds: reading.oldestUnsent?.ageSeconds ?? 0,
      suspended:
        reading.delivery.state === 'running'
          ? undefined
          : { code: reading.delivery.code, seconds: reading.delivery.seconds },
    };
  };
  const metrics = createMetrics(readQueue, () =>
    withDeadline(outbox.read(), OUTBOX_TIMEOUT_MS, queueTimedOut),
  );
  // A worker and a relay add a check. The other processes have none.
  const livenessChecks: (() => boolean)[] = [];
  // Each throws while this process is not ready. A worker adds one.
  const readinessChecks: (() => void)[] = [];
  const checkReadiness = async () => {
    for (const check of readinessChecks) check();
  };
  const isAlive = () => livenessChecks.every((isHealthy) => isHealthy());
  const probes = createHealthChecks({
    checkReady: createReadiness(
      [
        { name: 'queue', ask: () => checkNeed(need, backend), explain: backend.explainFailure },
        { name: 'database of the outbox', ask: outbox.ping, explain: explainLocalFailure },
        { name: 'worker', ask: checkReadiness, explain: explainNotReady },
      ],
      logger,
    ),
    isAlive,
    metrics,
  });

  return { ...composition, closers, metrics, probes, livenessChecks, readinessChecks };
};

export type Service = ReturnType<typeof createService> & {
  /** `undefined` unless tracing is configured. */
  tracer?: Tracer | undefined;
};

/** A service on Redis, for the processes of a deployment. */
export const openService = (
  config: Config<'REDIS_URL'>,
  profile: ConnectionProfile,
  options?: ServiceOptions,
): Service => {
  const logger = createLogger({ level: config.LOG_LEVEL });
  logger.info({ configuration: describeConfig(config) }, 'Starting');
  const backend = openRedisBackend(config, profile, logger);
  return createService(backend, logger, config, options);
};

export const openRedisBackend = (
  config: Config<'REDIS_URL'>,
  profile: ConnectionProfile,
  logger: Logger,
) =>
  openRedis({
    url: config.REDIS_URL,
    sentinels: config.REDIS_SENTINELS,
    waitReplicas: config.WAIT_REPLICAS,
    profile,
    logger,
    ...queueOptions(config),
  });

export const queueOptions = (config: Config) => ({
  prefix: config.QUEUE_PREFIX,
  dedupeWindowMs: config.DEDUPE_WINDOW_MS,
  keepDeliveredMs: config.KEEP_DELIVERED_MS,
});
