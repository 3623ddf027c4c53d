import { type Config, loadConfig, shutdownGraceMs } from '../../config/config.ts';
import { typeLabel } from '../../observability/metrics.ts';
import { listenForRows } from '../../producer/outbox/notifications.ts';
import { createOutcomeRows } from '../../producer/outbox/outcomeRows.ts';
import { openPostgres, type Postgres } from '../../producer/outbox/postgres.ts';
import { createOutcomeLookup } from '../../producer/outbox/reconcile.ts';
import { createRelay } from '../../producer/outbox/relay.ts';
import { createOutboxStore, type OutboxStore } from '../../producer/outbox/rows.ts';
import { syncOutcomes } from '../../producer/outbox/syncOutcomes.ts';
import { queueTimedOut, withDeadline } from '../../runtime/async.ts';
import { runUntilTerminated } from '../../runtime/lifecycle.ts';
import { guardRedis } from './guardRedis.ts';
import { serveProbes } from './probesServer.ts';
import { openService, type Service } from './service.ts';

// One for each loop of the relay, and one each for outcome tracking and for the metrics.
const MAX_CONNECTIONS = 5;
// Grace period for in-flight batches on shutdown. Then the connections are cut, because a frozen database would
// keep the process open. The next relay moves the rows that were not committed.
const ABORT_AFTER_MS = 3_000;
// The relay counts as stalled after this. Longer than one pass takes while database or queue do not respond.
const STALLED_AFTER_MS = 120_000;

/** `seek-signals relay`: moves committed outbox rows into the queue. */
export const relay = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'DATABASE_URL'], 'relay');
  const postgres = await openPostgres(config.DATABASE_URL, MAX_CONNECTIONS);
  const store = createOutboxStore(postgres, config.OUTBOX_TRACK_OUTCOMES);
  const service = openService(config, 'fail-fast', { outbox: store });
  service.closers.add('database', postgres.close);
  return runUntilTerminated({
    ...service,
    termination,
    run: () => startRelay(service, postgres, store, config),
    timeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  });
};

/** Resolves only if a startup check fails after the start, with the reason. */
const startRelay = async (
  service: Service,
  postgres: Postgres,
  store: OutboxStore,
  config: Config<'REDIS_URL'>,
): Promise<string> => {
  const { logger, closers, metrics, livenessChecks } = service;
  const { failedPrecondition } = await guardRedis(service, {
    allowUnsafe: config.ALLOW_UNSAFE_REDIS,
    uses: config.OUTBOX_TRACK_OUTCOMES ? ['outcomes'] : [],
  });
  const url = await serveProbes(service, config);

  const onAccepted = (typeCode: string) => metrics.accepted.inc({ type: typeLabel(typeCode) });
  const enqueue = await service.openEnqueue(onAccepted);
  const reportTo = config.OUTBOX_TRACK_OUTCOMES ? ('outbox' as const) : undefined;
  const { recordIdentifiers } = await service.openRecorders();
  const outboxRelay = createRelay({
    store,
    enqueue,
    recordMany: recordIdentifiers.recordMany,
    logger,
    metrics,
    reportTo,
  });
  closers.add('relay', () =>
    withDeadline(outboxRelay.close(), shutdownGraceMs(config), queueTimedOut),
  );
  livenessChecks.push(() => performance.now() - outboxRelay.lastActivityAt() < STALLED_AFTER_MS);
  if (config.OUTBOX_TRACK_OUTCOMES) trackOutcomes(service, postgres, config);
  const listener = listenForRows({ listen: postgres.listen, onNotified: outboxRelay.wake });
  closers.add('listener', listener.close);
  // Added last, so it runs first: it starts the grace period of the closers above.
  closers.add('grace period', async () => {
    setTimeout(postgres.destroy, Math.min(ABORT_AFTER_MS, shutdownGraceMs(config))).unref();
  });
  logger.info({ metrics: url }, 'Relay started');
  return failedPrecondition;
};

const trackOutcomes = (
  { backend, lookup, closers, logger, metrics }: Service,
  postgres: Postgres,
  config: Config,
): void => {
  const outcomeSync = syncOutcomes({
    outcomeStream: backend.outcomeStream,
    outcomeRows: createOutcomeRows(postgres),
    lookUpOutcome: createOutcomeLookup(lookup),
    keepMs: config.OUTBOX_KEEP_MS,
    logger,
    metrics,
  });
  closers.add('outcome tracking', () =>
    withDeadline(outcomeSync.close(), shutdownGraceMs(config), queueTimedOut),
  );
};
