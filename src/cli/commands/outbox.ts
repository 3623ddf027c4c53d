import { loadConfig } from '../../config/config.ts';
import { MIGRATIONS, migrate, printMigrations } from '../../producer/outbox/migrations.ts';
import { createOutcomeRows } from '../../producer/outbox/outcomeRows.ts';
import { openPostgres } from '../../producer/outbox/postgres.ts';
import {
  createAskQueue,
  createReconcile,
  type Reconciled,
} from '../../producer/outbox/reconcile.ts';
import { createOutboxStore } from '../../producer/outbox/rows.ts';
import { reachRedis } from '../admin/openAdminClient.ts';
import { guardRedis } from '../processes/guardRedis.ts';
import { complain, type Output, print } from './inspect.ts';

/** `seek-signals outbox migrate` */
export const migrateOutbox = async (
  env: NodeJS.ProcessEnv,
  options: { print?: boolean },
): Promise<number> => {
  if (options.print) {
    process.stdout.write(`${printMigrations()}\n`);
    return 0;
  }
  const config = loadConfig(env, ['DATABASE_URL']);
  const postgres = await openPostgres(config.DATABASE_URL, 1);
  try {
    const taken = await postgres.transaction(migrate);
    process.stdout.write(
      taken === 0
        ? `the outbox is of version ${MIGRATIONS.length} already\n`
        : `the outbox is of version ${MIGRATIONS.length} now\n`,
    );
    return 0;
  } finally {
    await postgres.close();
  }
};

type ReconcileOptions = Output & { dryRun?: boolean };

/** `seek-signals outbox reconcile` */
export const reconcileOutbox = async (
  env: NodeJS.ProcessEnv,
  options: ReconcileOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'DATABASE_URL']);
  const { backend, logger, lookup, openEnqueue } = await reachRedis(config);
  const postgres = await openPostgres(config.DATABASE_URL, 2);
  const stop = new AbortController();
  void termination.then(() => stop.abort());
  try {
    await guardRedis({ backend, logger }, config.ALLOW_UNSAFE_REDIS);
    const reconcile = createReconcile({
      store: createOutboxStore(postgres, true),
      outcomeRows: createOutcomeRows(postgres),
      ask: createAskQueue(lookup),
      enqueue: await openEnqueue(),
    });
    const { dryRun = false } = options;
    const reconciled = await reconcile({ dryRun, signal: stop.signal });
    print(reconciled, options, (told) => renderReconciled(told, dryRun));
    if (stop.signal.aborted) complain('Stopped; run it again for the rest');
    return reconciled.rejected > 0 || stop.signal.aborted ? 1 : 0;
  } finally {
    await Promise.all([postgres.close(), backend.close()]);
  }
};

const renderReconciled = (told: Reconciled, dryRun: boolean): string => {
  const { looked, enqueued, rejected, settled, samples } = told;
  return [
    `${looked} rows whose signals are not settled, or dead`,
    `${enqueued} that the queue did not know any more${dryRun ? '' : ', and was given again'}`,
    ...(samples.length === 0 ? [] : [`  such as ${samples.join(', ')}`]),
    ...(rejected === 0 ? [] : [`${rejected} that would not be accepted today: now rejected`]),
    `${settled} whose outcome was not written down yet`,
  ].join('\n');
};
