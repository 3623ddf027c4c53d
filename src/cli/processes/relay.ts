import { loadConfig, patienceOf } from '../../config/config.ts';
import { typeLabel } from '../../observability/metrics.ts';
import { listenForRows } from '../../producer/outbox/notifications.ts';
import { createLedgerStore } from '../../producer/outbox/outcomeRows.ts';
import { openPostgres } from '../../producer/outbox/postgres.ts';
import { createAskQueue } from '../../producer/outbox/reconcile.ts';
import { createRelay } from '../../producer/outbox/relay.ts';
import { createOutboxStore } from '../../producer/outbox/rows.ts';
import { keepLedger } from '../../producer/outbox/syncOutcomes.ts';
import { queueIsSilent, withDeadline } from '../../runtime/async.ts';
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
  const store = createOutboxStore(postgres, config.OUTBOX_LEDGER);
  const service = openService(config, 'fail-fast', store);
  const { backend, logger, closers, metrics, vitals } = service;
  closers.add('database', postgres.close);
  const { unfit } = await guardRedis(service, config.ALLOW_UNSAFE_REDIS);
  const url = await serveProbes(service, config);

  const onAccepted = (typeCode: string) => metrics.accepted.inc({ type: typeLabel(typeCode) });
  const enqueue = await service.openEnqueue(onAccepted);
  const reportTo = config.OUTBOX_LEDGER ? ('outbox' as const) : undefined;
  const moving = createRelay({ store, enqueue, logger, metrics, reportTo });
  closers.add('relay', () => withDeadline(moving.close(), patienceOf(config), queueIsSilent));
  vitals.push(() => performance.now() - moving.turnedAt() < TURNS_WITHIN_MS);
  if (config.OUTBOX_LEDGER) {
    const keeper = keepLedger({
      settlements: backend.settlements,
      ledger: createLedgerStore(postgres),
      ask: createAskQueue(service.lookup),
      ...{ keepMs: config.OUTBOX_KEEP_MS, logger, metrics },
    });
    closers.add('ledger', () => withDeadline(keeper.close(), patienceOf(config), queueIsSilent));
  }
  const ears = listenForRows({ listen: postgres.listen, onNotified: moving.wake });
  closers.add('ears', ears.close);
  closers.add('patience', async () => {
    setTimeout(postgres.letGo, Math.min(LET_GO_AFTER_MS, patienceOf(config))).unref();
  });
  logger.info({ metrics: url }, 'Relay started');
  return runUntilTerminated({
    ...service,
    ...{ termination, unfit, timeoutMs: config.SHUTDOWN_TIMEOUT_MS },
  });
};
