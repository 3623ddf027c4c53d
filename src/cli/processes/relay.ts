import { loadConfig, shutdownGraceMs } from '../../config/config.ts';
import { typeLabel } from '../../observability/metrics.ts';
import { listenForRows } from '../../producer/outbox/notifications.ts';
import { createOutcomeRows } from '../../producer/outbox/outcomeRows.ts';
import { openPostgres } from '../../producer/outbox/postgres.ts';
import { createAskQueue } from '../../producer/outbox/reconcile.ts';
import { createRelay } from '../../producer/outbox/relay.ts';
import { createOutboxStore } from '../../producer/outbox/rows.ts';
import { syncOutcomes } from '../../producer/outbox/syncOutcomes.ts';
import { queueTimedOut, withDeadline } from '../../runtime/async.ts';
import { runUntilTerminated } from '../../runtime/lifecycle.ts';
import { guardRedis } from './guardRedis.ts';
import { serveProbes } from './probesServer.ts';
import { openService } from './service.ts';

// Each lane of the relay has one, and so have the ledger, and who asks for the metrics.
const CONNECTIONS = 5;
// What is in hand when it is told to stop has so long. A database that is frozen has no answer later either, and
// what was not committed is moved by whoever comes next.
const LET_GO_AFTER_MS = 3_000;
// Longer than a turn takes while the database, or the queue, says nothing at all.
const TURNS_WITHIN_MS = 120_000;

/** `seek-signals relay`: moves what the ATS has committed to its outbox into the queue. */
export const relay = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'DATABASE_URL']);
  const postgres = await openPostgres(config.DATABASE_URL, CONNECTIONS);
  const store = createOutboxStore(postgres, config.OUTBOX_TRACK_OUTCOMES);
  const service = openService(config, 'fail-fast', store);
  const { backend, logger, closers, metrics, livenessChecks } = service;
  closers.add('database', postgres.close);
  const { unfit } = await guardRedis(service, config.ALLOW_UNSAFE_REDIS);
  const url = await serveProbes(service, config);

  const onAccepted = (typeCode: string) => metrics.accepted.inc({ type: typeLabel(typeCode) });
  const enqueue = await service.openEnqueue(onAccepted);
  const reportTo = config.OUTBOX_TRACK_OUTCOMES ? ('outbox' as const) : undefined;
  const moving = createRelay({ store, enqueue, logger, metrics, reportTo });
  closers.add('relay', () => withDeadline(moving.close(), shutdownGraceMs(config), queueTimedOut));
  livenessChecks.push(() => performance.now() - moving.lastActivityAt() < TURNS_WITHIN_MS);
  if (config.OUTBOX_TRACK_OUTCOMES) {
    const keeper = syncOutcomes({
      outcomeStream: backend.outcomeStream,
      outcomeRows: createOutcomeRows(postgres),
      ask: createAskQueue(service.lookup),
      ...{ keepMs: config.OUTBOX_KEEP_MS, logger, metrics },
    });
    closers.add('ledger', () =>
      withDeadline(keeper.close(), shutdownGraceMs(config), queueTimedOut),
    );
  }
  const ears = listenForRows({ listen: postgres.listen, onNotified: moving.wake });
  closers.add('ears', ears.close);
  closers.add('patience', async () => {
    setTimeout(postgres.letGo, Math.min(LET_GO_AFTER_MS, shutdownGraceMs(config))).unref();
  });
  logger.info({ metrics: url }, 'Relay started');
  return runUntilTerminated({
    ...service,
    ...{ termination, unfit, timeoutMs: config.SHUTDOWN_TIMEOUT_MS },
  });
};
