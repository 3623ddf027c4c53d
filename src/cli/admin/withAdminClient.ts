import { type Config, loadConfig } from '../../config/config.ts';
import type { Command } from '../../config/readers.ts';
import type { AdminClient } from './adminClient.ts';
import { openAdminClient } from './openAdminClient.ts';

/** Runs one command with an admin client, and closes the client also when the command fails. */
export const withAdminClient = async (
  env: NodeJS.ProcessEnv,
  command: Command,
  work: (admin: AdminClient, config: Config) => Promise<number>,
): Promise<number> => {
  const config = loadConfig(env, [], command);
  const admin = await openAdminClient(config);
  try {
    return await work(admin, config);
  } finally {
    await admin.close();
  }
};
