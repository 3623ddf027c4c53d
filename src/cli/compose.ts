import type { Config } from '../config/config.ts';
import { createDeadLetters } from '../deadLetters/deadLetters.ts';
import { createExportDeadLetters, createImportDeadLetters } from '../deadLetters/transfer.ts';
import type { Logger } from '../observability/logger.ts';
import type { Backend } from '../queue/backend.ts';
import { createFindSignals, createLookup } from '../queue/lookup.ts';
import { createQueueStatus } from '../queue/status.ts';
import { createTokenCipher } from '../runtime/tokenCipher.ts';
import { createSeekTokens } from '../seekTokens/registry.ts';

/**
 * The composition root: builds what a process needs on top of its queue, each part once. All users of a
 * part share it, so that every seek token in one process is encrypted and opened by the same keys.
 * Building has no effect: nothing connects, and no timer starts.
 */
export const compose = (config: Config, backend: Backend, logger: Logger) => {
  const cipher = createTokenCipher(config.TOKEN_ENCRYPTION_KEYS ?? []);
  const seekTokens = createSeekTokens({
    store: backend.tokens,
    cipher,
    ttlDays: config.SEEK_TOKEN_TTL_DAYS,
  });
  const lookup = createLookup(backend);

  return {
    backend,
    logger,
    cipher,
    seekTokens,
    lookup,
    findSignals: createFindSignals({ backend, lookup: lookup }),
    status: createQueueStatus(backend),
    deadLetters: createDeadLetters({ backend }),
    exportDeadLetters: createExportDeadLetters(backend),
    importDeadLetters: createImportDeadLetters({
      backend,
      lookup: lookup,
      isErased: seekTokens.isErased,
    }),

    /**
     * Accepts signals as the configuration says. `onAccepted` is called once for each signal that is not
     * a duplicate. The code is imported on demand, because workers and boards do not accept signals.
     */
    openEnqueue: async (onAccepted: (typeCode: string) => void = () => {}) => {
      const { createEnqueue } = await import('../producer/enqueue.ts');
      const { createSignalQueue } = await import('../queue/acceptSignals.ts');
      return createEnqueue({
        queue: createSignalQueue({
          backend,
          lookup: lookup,
          cipher,
          dedupeWindowMs: config.DEDUPE_WINDOW_MS,
        }),
        parse: { allowUnknownTypes: config.ALLOW_UNKNOWN_TYPES, audience: config.SEEK_AUDIENCE },
        logger,
        onAccepted,
      });
    },
  };
};

export type Composition = ReturnType<typeof compose>;
