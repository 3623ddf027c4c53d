import type { Logger } from '../observability/logger.ts';
import type { Bookkeeping, Settled } from '../queue/backend.ts';
import type { IndexedRequest, SearchIndex } from '../queue/searchIndex.ts';
import { queueTimedOut, withDeadline } from '../runtime/async.ts';

const FLUSH_EVERY_MS = 100;
const FLUSH_WITHIN_MS = 2_000;

type Deps = {
  bookkeeping: Pick<Bookkeeping, 'recordOutcomes'>;
  index: Pick<SearchIndex, 'indexRequests'>;
  /** `KEEP_DELIVERED_COUNT` */
  mostKept: number;
  logger: Logger;
};

/**
 * Tells the ledger of settled signals, and the index of the requests that they went with, in batches,
 * off the worker's hot path. What a crash leaves untold is found out by whoever reads the ledger; by
 * its requests such a signal is not found.
 */
export const createOutcomeRecorder = ({ bookkeeping, index, mostKept, logger }: Deps) => {
  let untold: Settled[] = [];
  let unnoted: IndexedRequest[] = [];

  const flush = async (): Promise<void> => {
    const [batch, requested] = [untold, unnoted];
    [untold, unnoted] = [[], []];
    const noting = index.indexRequests(requested, mostKept).catch((err: Error) => {
      logger.warn({ reason: err.message, requests: requested.length }, 'Requests not noted');
    });
    await bookkeeping.recordOutcomes(batch).catch((err: Error) => {
      logger.warn(
        { reason: err.message, signals: batch.length },
        'Ledger not told; it heals itself',
      );
    });
    await noting;
  };

  let flushing: Promise<void> | undefined;
  const flushInTurn = (): Promise<void> => {
    flushing ??= flush().finally(() => {
      flushing = undefined;
    });
    return flushing;
  };
  const timer = setInterval(() => void flushInTurn(), FLUSH_EVERY_MS);

  return {
    add: (settled: Settled): void => {
      untold.push(settled);
    },
    noteRequest: (requested: IndexedRequest): void => {
      unnoted.push(requested);
    },
    close: async (): Promise<void> => {
      clearInterval(timer);
      const flushAll = async (): Promise<void> => {
        await flushing;
        await flushInTurn();
      };
      await withDeadline(flushAll(), FLUSH_WITHIN_MS, queueTimedOut);
    },
  };
};
