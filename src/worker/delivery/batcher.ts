import type { BisectBatch, DeliveryResult } from './bisectBatch.ts';
import type { Entry } from './sendAuthorised.ts';

type QueuedEntry = {
  entry: Entry;
  resolve: (delivery: DeliveryResult) => void;
  reject: (err: unknown) => void;
};

type Deps = {
  bisectBatch: BisectBatch;
  /** The largest number of signals in a batch. */
  size: number;
  /** How long the first signal of a batch waits for others at most. */
  lingerMs: number;
};

/**
 * Sends signals that wait at the same time in one batch. A signal that finds no batch in flight is
 * sent at once. Otherwise a batch is sent when it is full, when its first signal has waited
 * `lingerMs`, or when no batch is in flight any more.
 */
export const createBatcher = ({ bisectBatch, lingerMs, ...deps }: Deps) => {
  let { size } = deps;
  const waiting: QueuedEntry[] = [];
  let batchesInFlight = 0;
  let timer: NodeJS.Timeout | undefined;

  const sendBatch = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting.splice(0, size);
    if (batch.length === 0) return;
    batchesInFlight += 1;
    void deliver(batch).finally(() => {
      batchesInFlight -= 1;
      if (batchesInFlight === 0) sendBatch();
    });
    if (waiting.length > 0) timer = setTimeout(sendBatch, lingerMs);
  };

  const deliver = async (batch: QueuedEntry[]): Promise<void> => {
    const byEntry = new Map(batch.map((each) => [each.entry, each]));
    try {
      await bisectBatch([...byEntry.keys()], 'normal', (entry, delivery) =>
        byEntry.get(entry)?.resolve(delivery),
      );
    } catch (err) {
      // Has no effect on the signals whose promise is resolved already.
      for (const { reject } of batch) reject(err);
    }
  };

  return {
    send: (entry: Entry): Promise<DeliveryResult> =>
      new Promise((resolve, reject) => {
        waiting.push({ entry, resolve, reject });
        if (batchesInFlight === 0 || waiting.length >= size) sendBatch();
        else timer ??= setTimeout(sendBatch, lingerMs);
      }),
    /** Sends every signal alone from now on. `false`: that was the case already. */
    stopBatching: (): boolean => {
      const wasBatching = size > 1;
      size = 1;
      return wasBatching;
    },
  };
};

export type Batcher = ReturnType<typeof createBatcher>;
