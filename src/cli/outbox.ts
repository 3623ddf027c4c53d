import { loadConfig } from '../config.ts';
import { MIGRATIONS, migrate, printMigrations } from '../producer/outbox/migrations.ts';
import { openPostgres } from '../producer/outbox/postgres.ts';

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
