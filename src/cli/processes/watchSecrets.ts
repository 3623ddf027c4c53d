import { isDeepStrictEqual } from 'node:util';

import { type Config, ConfigError, loadConfig, type Variable } from '../../config/config.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Closers } from '../../runtime/lifecycle.ts';

const LOOK_EVERY_MS = 5_000;

// What a process can change over to while it runs.
const ROTATED = ['SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET', 'API_KEYS'] as const;

type Deps = { closers: Closers; logger: Logger };

/**
 * The configuration, with those secrets that stand in files (`NAME_FILE`) as they are at present. Files are
 * looked at, not watched: where they are mounted, what changes is a link some way up. What can't be read, or
 * is wrong, leaves what was.
 */
export const followSecrets = <Required extends Variable>(
  env: NodeJS.ProcessEnv,
  required: readonly Required[],
  { closers, logger }: Deps,
): (() => Config<Required>) => {
  let current = loadConfig(env, required);
  let complaint: string | undefined;
  const followed = ROTATED.filter((name) => env[`${name}_FILE`]);

  const look = (): void => {
    try {
      const fresh = loadConfig(env, required);
      complaint = undefined;
      const changed = followed.filter((name) => !isDeepStrictEqual(fresh[name], current[name]));
      if (changed.length === 0) return;
      current = fresh;
      logger.info({ changed }, 'Secrets reloaded');
    } catch (err) {
      if (!(err instanceof ConfigError)) throw err;
      if (err.message !== complaint) logger.error({ reason: err.message }, 'Secrets not reloaded');
      complaint = err.message;
    }
  };

  if (followed.length > 0) {
    const timer = setInterval(look, LOOK_EVERY_MS);
    timer.unref();
    closers.add('secrets', async () => clearInterval(timer));
  }
  return () => current;
};
