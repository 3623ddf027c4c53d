import { jsonBytes } from '../../schemas/json.ts';
import type { BisectBatch, DeliveryResult } from './bisectBatch.ts';
import type { Entry } from './sendAuthorised.ts';

// SEEK documents no limit for a request. Gateways commonly reject bodies over a few MiB, some over one.
const MAX_BATCH_BYTES = 512 * 1024;

type QueuedEntry = {
  entry: Entry;
  /** The size of its signal as JSON. */
  bytes: number;
  resolve: (delivery: DeliveryResult) => void;
  reject: (err: unknown) => void;
};

type Deps = {
  bisectBatch: BisectBatch;
  /** The largest number of signals in a batch. */
  size: number;
  /** How long the first signal of a batch waits for others at most. */
  lingerMs: number;
  /** The largest size of a batch. A signal that is larger is sent alone. */
  maxBytes?: number;
};

/**
 * Sends signals that wait at the same time in one batch. A signal that finds no batch in flight is
 * sent at once. Otherwise a batch is sent when it is full (of signals, or of bytes), when its first signal has waited
 * `lingerMs`, or when no batch is in flight any more.
 */
export const createBatcher = ({
  bisectBatch,
  lingerMs,
  maxBytes = MAX_BATCH_BYTES,
  ...deps
}: Deps) => {
  let { size } = deps;
  const waiting: QueuedEntry[] = [];
  let waitingBytes = 0;
  let batchesInFlight = 0;
  let timer: NodeJS.Timeout | undefined;

  const sendBatch = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting.splice(0, countFitting());
    if (batch.length === 0) return;
    for (const { bytes } of batch) waitingBytes -= bytes;
    batchesInFlight += 1;
    void deliver(batch).finally(() => {
      batchesInFlight -= 1;
      if (batchesInFlight === 0) sendBatch();
    });
    if (isFull()) sendBatch();
    else if (waiting.length > 0) timer = setTimeout(sendBatch, lingerMs);
  };

  const isFull = (): boolean => waiting.length >= size || waitingBytes >= maxBytes;

  /** How many of the first signals form a batch: at least one. */
  const countFitting = (): number => {
    let bytes = 0;
    const tooMany = waiting.findIndex((each, n) => {
      bytes += each.bytes;
      return n === size || (n > 0 && bytes > maxBytes);
    });
    return tooMany === -1 ? waiting.length : tooMany;
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
        // With batches of one signal, the sizes do not matter.
        const bytes = size === 1 ? 0 : jsonBytes(entry.signal);
        waitingBytes += bytes;
        waiting.push({ entry, bytes, resolve, reject });
        if (batchesInFlight === 0 || isFull()) sendBatch();
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
