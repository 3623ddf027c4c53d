import { isDeepStrictEqual } from 'node:util';

import { type Config, ConfigError, loadConfig, type Variable } from '../../config/config.ts';
import type { Command } from '../../config/readers.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Closers } from '../../runtime/lifecycle.ts';

const POLL_INTERVAL_MS = 5_000;

// The variables that a process can change without a restart.
const ROTATED = ['SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET', 'API_KEYS'] as const;

type Source<Required extends Variable> = {
  env: NodeJS.ProcessEnv;
  required: readonly Required[];
  command: Command;
};
type Deps = { closers: Closers; logger: Logger };

/**
 * Returns a function that reads the configuration with the current content of secret files (`NAME_FILE`).
 * It polls the files, because a file watcher misses mounted secrets: there, a symbolic link further up changes.
 * A file that is missing or invalid changes nothing.
 */
export const watchSecrets = <Required extends Variable>(
  { env, required, command }: Source<Required>,
  { closers, logger }: Deps,
): (() => Config<Required>) => {
  let current = loadConfig(env, required, command);
  let lastProblem: string | undefined;
  const watched = ROTATED.filter((name) => env[`${name}_FILE`]);

  const poll = (): void => {
    try {
      const fresh = loadConfig(env, required, command);
      lastProblem = undefined;
      const changed = watched.filter((name) => !isDeepStrictEqual(fresh[name], current[name]));
      if (changed.length === 0) return;
      current = fresh;
      logger.info({ changed }, 'Secrets reloaded');
    } catch (err) {
      if (!(err instanceof ConfigError)) throw err;
      // Once for each problem, not with every poll.
      if (err.message !== lastProblem)
        logger.error({ reason: err.message }, 'Secrets not reloaded');
      lastProblem = err.message;
    }
  };

  if (watched.length > 0) {
    const timer = setInterval(poll, POLL_INTERVAL_MS);
    timer.unref();
    closers.add('secrets', async () => clearInterval(timer));
  }
  return () => current;
};
