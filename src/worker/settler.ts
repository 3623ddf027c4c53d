import { queueIsSilent, withDeadline } from '../deadline.ts';
import type { Logger } from '../logging.ts';
import type { Ledger, Settled } from '../queue/backend.ts';

const FLUSH_EVERY_MS = 100;
const FLUSH_WITHIN_MS = 2_000;

/**
 * Tells the ledger of settled signals in batches, off the worker's hot path. What a crash leaves
 * untold is found out by whoever reads the ledger.
 */
export const createSettler = (ledger: Pick<Ledger, 'settle'>, logger: Logger) => {
  let untold: Settled[] = [];

  const flush = async (): Promise<void> => {
    const batch = untold;
    untold = [];
    await ledger.settle(batch).catch((err: Error) => {
      logger.warn(
        { reason: err.message, signals: batch.length },
        'Ledger not told; it heals itself',
      );
    });
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
    close: async (): Promise<void> => {
      clearInterval(timer);
      const flushAll = async (): Promise<void> => {
        await flushing;
        await flushInTurn();
      };
      await withDeadline(flushAll(), FLUSH_WITHIN_MS, queueIsSilent);
    },
  };
};
