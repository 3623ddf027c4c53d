import type { Config } from '../config/config.ts';
import { createDeadLetters } from '../deadLetters/deadLetters.ts';
import { createExportDeadLetters, createImportDeadLetters } from '../deadLetters/transfer.ts';
import type { Logger } from '../observability/logger.ts';
import { createSearch } from '../producer/search.ts';
import type { Backend } from '../queue/backend.ts';
import { createFindSignals, createLookup } from '../queue/lookup.ts';
import { createQueueStatus } from '../queue/status.ts';
import { createTokenCipher } from '../runtime/tokenCipher.ts';
import { createPositions } from '../seekTokens/positions.ts';
import { createSeekTokens } from '../seekTokens/registry.ts';

/**
 * The composition root: builds the parts that processes and commands use on top of a queue, each part once.
 * All of them share one cipher, so that one process encrypts and decrypts every seek token with the same keys.
 * Building has no effect: it opens no connection and starts no timer.
 */
export const compose = (config: Config, backend: Backend, logger: Logger) => {
  const now = backend.clock.estimate;
  const cipher = createTokenCipher(config.TOKEN_ENCRYPTION_KEYS ?? []);
  const seekTokens = createSeekTokens({
    store: backend.tokens,
    cipher,
    ttlDays: config.SEEK_TOKEN_TTL_DAYS,
    now,
  });
  const positions = createPositions({ store: backend.positions, now });
  const lookup = createLookup(backend);
  const findSignals = createFindSignals({ backend, lookup });

  return {
    backend,
    logger,
    cipher,
    seekTokens,
    positions,
    lookup,
    findSignals,
    search: createSearch({ find: lookup.find, findSignals }),
    status: createQueueStatus(backend),
    deadLetters: createDeadLetters({ backend }),
    exportDeadLetters: createExportDeadLetters(backend),
    importDeadLetters: createImportDeadLetters({
      backend,
      lookup,
      isErased: seekTokens.isErased,
    }),

    /**
     * Returns the function that validates and enqueues signals. It calls `onAccepted` for each signal that is
     * not a duplicate. The code is imported on demand, because workers and boards do not accept signals.
     */
    openEnqueue: async (onAccepted: (typeCode: string) => void = () => {}) => {
      const { createEnqueue } = await import('../producer/enqueue.ts');
      const { createAcceptSignals } = await import('../queue/acceptSignals.ts');
      return createEnqueue({
        explainFailure: backend.explainFailure,
        queue: createAcceptSignals({
          backend,
          lookup,
          cipher,
          dedupeWindowMs: config.DEDUPE_WINDOW_MS,
        }),
        parse: {
          allowUnknownTypes: config.ALLOW_UNKNOWN_TYPES,
          audience: config.SEEK_AUDIENCE,
          maxSignalBytes: config.MAX_SIGNAL_BYTES,
        },
        logger,
        onAccepted,
      });
    },

    /** Returns the functions that validate and record identifiers. Imported on demand, as `openEnqueue` is. */
    openRecorders: async () => {
      const { createRecordSeekToken } = await import('../producer/recordSeekToken.ts');
      const { createRecordIdentifiers } = await import('../producer/recordIdentifiers.ts');
      const { waitForReplicas, explainFailure } = backend;
      const recordSeekToken = createRecordSeekToken({
        tokens: seekTokens,
        waitForReplicas,
        explainFailure,
        logger,
        now,
      });
      const recordIdentifiers = createRecordIdentifiers({
        recordSeekToken,
        seekTokens,
        positions,
        waitForReplicas,
        explainFailure,
        logger,
        now,
      });
      return { recordSeekToken, recordIdentifiers };
    },
  };
};

export type Composition = ReturnType<typeof compose>;
