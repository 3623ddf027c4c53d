import { loadConfig } from '../../config/config.ts';
import { MIGRATIONS, migrate, printMigrations } from '../../producer/outbox/migrations.ts';
import { createOutcomeRows } from '../../producer/outbox/outcomeRows.ts';
import { openPostgres } from '../../producer/outbox/postgres.ts';
import {
  createOutcomeLookup,
  createReconcile,
  type ReconcileResult,
} from '../../producer/outbox/reconcile.ts';
import { createOutboxStore } from '../../producer/outbox/rows.ts';
import { connectRedis } from '../admin/openAdminClient.ts';
import { type OutputOptions, printMessage, printResult } from '../io/output.ts';
import { guardRedis } from '../processes/guardRedis.ts';

/** `seek-signals outbox migrate` */
export const migrateOutbox = async (
  env: NodeJS.ProcessEnv,
  options: { print?: boolean },
): Promise<number> => {
  if (options.print) {
    process.stdout.write(`${printMigrations()}\n`);
    return 0;
  }
  const config = loadConfig(env, ['DATABASE_URL'], 'outbox');
  const postgres = await openPostgres(config.DATABASE_URL, 1);
  try {
    const applied = await postgres.transaction(migrate);
    process.stdout.write(
      applied === 0
        ? `the outbox already has version ${MIGRATIONS.length}\n`
        : `upgraded the outbox to version ${MIGRATIONS.length}\n`,
    );
    return 0;
  } finally {
    await postgres.close();
  }
};

/** `seek-signals outbox reconcile` */
export const reconcileOutbox = async (
  env: NodeJS.ProcessEnv,
  options: OutputOptions & { dryRun?: boolean },
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'DATABASE_URL'], 'outbox');
  const { backend, logger, lookup, openEnqueue } = await connectRedis(config);
  const postgres = await openPostgres(config.DATABASE_URL, 2);
  const stop = new AbortController();
  void termination.then(() => stop.abort());
  try {
    await guardRedis(
      { backend, logger },
      {
        allowUnsafe: config.ALLOW_UNSAFE_REDIS,
      },
    );
    const reconcile = createReconcile({
      store: createOutboxStore(postgres, true),
      outcomeRows: createOutcomeRows(postgres),
      lookUpOutcome: createOutcomeLookup(lookup),
      enqueue: await openEnqueue(),
    });
    const { dryRun = false } = options;
    const reconciled = await reconcile({ dryRun, signal: stop.signal });
    printResult(reconciled, options, (result) => renderReconciled(result, dryRun));
    if (stop.signal.aborted) printMessage('Interrupted; run it again for the rest');
    return reconciled.rejected > 0 || stop.signal.aborted ? 1 : 0;
  } finally {
    await Promise.all([postgres.close(), backend.close()]);
  }
};

const renderReconciled = (
  { checked, reenqueued, rejected, recorded, samples }: ReconcileResult,
  dryRun: boolean,
): string =>
  [
    `checked ${checked} rows that are queued or dead`,
    `${dryRun ? 'would enqueue' : 'enqueued'} ${reenqueued} again that the queue does not know`,
    ...(samples.length === 0 ? [] : [`  for example ${samples.join(', ')}`]),
    ...(rejected === 0 ? [] : [`rejected ${rejected} that would fail validation today`]),
    `${dryRun ? 'would record' : 'recorded'} the outcomes of ${recorded}`,
  ].join('\n');
