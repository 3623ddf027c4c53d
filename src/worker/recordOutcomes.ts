import type { Logger } from '../observability/logger.ts';
import type { Bookkeeping, SignalOutcome } from '../queue/backend.ts';
import type { IndexedRequest, SearchIndex } from '../queue/searchIndex.ts';
import { queueTimedOut, withDeadline } from '../runtime/async.ts';

const FLUSH_INTERVAL_MS = 100;
const CLOSE_TIMEOUT_MS = 2_000;

type Deps = {
  bookkeeping: Pick<Bookkeeping, 'recordOutcomes'>;
  index: Pick<SearchIndex, 'indexRequests'>;
  /** `KEEP_DELIVERED_COUNT` */
  maxIndexedSignals: number;
  logger: Logger;
};

/**
 * Records final outcomes and indexes request ids, in batches and off the worker's hot path. After a
 * crash, readers of the bookkeeping find unrecorded outcomes by themselves. The unindexed request ids
 * are lost: `find` does not return their signals.
 */
export const createOutcomeRecorder = ({ bookkeeping, index, maxIndexedSignals, logger }: Deps) => {
  let outcomes: SignalOutcome[] = [];
  let requests: IndexedRequest[] = [];

  const flush = async (): Promise<void> => {
    const taken = { outcomes, requests };
    outcomes = [];
    requests = [];
    const indexing = index.indexRequests(taken.requests, maxIndexedSignals).catch((err: Error) => {
      logger.warn(
        { reason: err.message, requests: taken.requests.length },
        'Failed to record requests in the search index',
      );
    });
    await bookkeeping.recordOutcomes(taken.outcomes).catch((err: Error) => {
      logger.warn(
        { reason: err.message, signals: taken.outcomes.length },
        'Failed to record outcomes; will be reconciled',
      );
    });
    await indexing;
  };

  // One flush at a time: while the queue does not answer, the next batch grows instead.
  let flushing: Promise<void> | undefined;
  const flushOnce = (): Promise<void> => {
    flushing ??= flush().finally(() => {
      flushing = undefined;
    });
    return flushing;
  };
  const timer = setInterval(() => void flushOnce(), FLUSH_INTERVAL_MS);

  return {
    addOutcome: (outcome: SignalOutcome): void => {
      outcomes.push(outcome);
    },
    addRequest: (request: IndexedRequest): void => {
      requests.push(request);
    },
    close: async (): Promise<void> => {
      clearInterval(timer);
      const flushAll = async (): Promise<void> => {
        await flushing;
        await flushOnce();
      };
      await withDeadline(flushAll(), CLOSE_TIMEOUT_MS, queueTimedOut);
    },
  };
};

export type OutcomeRecorder = ReturnType<typeof createOutcomeRecorder>;
