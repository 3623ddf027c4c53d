import type { Config } from '../config.ts';
import type { Logger } from '../logging.ts';
import { createEnqueue } from '../producer/enqueue.ts';
import type { Backend } from '../queue/backend.ts';
import { openSeekTokens } from '../queue/seekTokens.ts';
import { createSignalLives } from '../queue/signalLives.ts';
import { createSignalQueue } from '../queue/signalQueue.ts';

type Deps = { backend: Backend; logger: Logger; onAccepted?: (typeCode: string) => void };

/** Takes signals in as the configuration says. */
export const openEnqueue = ({ backend, ...deps }: Deps, config: Config) =>
  createEnqueue({
    ...deps,
    queue: createSignalQueue({
      backend,
      lives: createSignalLives(backend),
      cipher: openSeekTokens(backend.tokens, config).cipher,
      rememberMs: config.REMEMBER_MS,
    }),
    parse: { allowUnknownTypes: config.ALLOW_UNKNOWN_TYPES, audience: config.SEEK_AUDIENCE },
  });
