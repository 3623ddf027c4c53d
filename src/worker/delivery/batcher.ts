import type { BisectBatch, OnResult } from './bisectBatch.ts';
import type { Entry } from './sendAuthorised.ts';

// SEEK documents no limit for a request. Gateways commonly reject bodies over a few MiB, some over one.
const MAX_BATCH_BYTES = 512 * 1024;

type Deps<Sent extends Entry> = {
  bisectBatch: BisectBatch<Sent>;
  /** Called once for each signal. */
  onResult: OnResult<Sent>;
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
export const createBatcher = <Sent extends Entry>({
  bisectBatch,
  onResult,
  lingerMs,
  maxBytes = MAX_BATCH_BYTES,
  ...deps
}: Deps<Sent>) => {
  let { size } = deps;
  let waiting: Sent[] = [];
  let waitingBytes = 0;
  let batchesInFlight = 0;
  let timer: NodeJS.Timeout | undefined;

  const isFull = (): boolean => waiting.length >= size || waitingBytes >= maxBytes;

  /** How many of the first signals form a batch: at least one. */
  const countFitting = (): number => {
    let bytes = 0;
    const tooMany = waiting.findIndex((entry, n) => {
      bytes += entry.bytes;
      return n === size || (n > 0 && bytes > maxBytes);
    });
    return tooMany === -1 ? waiting.length : tooMany;
  };

  const sendBatch = (): void => {
    // The next batch has another first signal.
    clearTimeout(timer);
    timer = undefined;
    const count = countFitting();
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    for (const { bytes } of batch) waitingBytes -= bytes;
    batchesInFlight += 1;
    void bisectBatch(batch, 'normal', onResult).finally(() => {
      batchesInFlight -= 1;
      sendDue();
    });
  };

  /** Sends what may be sent now. The rest waits for `lingerMs` at most. */
  const sendDue = (): void => {
    while (isFull() || (batchesInFlight === 0 && waiting.length > 0)) sendBatch();
    if (waiting.length === 0) return;
    timer ??= setTimeout(() => {
      while (waiting.length > 0) sendBatch();
    }, lingerMs);
  };

  return {
    send: (entries: readonly Sent[]): void => {
      for (const entry of entries) waitingBytes += entry.bytes;
      waiting.push(...entries);
      sendDue();
    },
    /** Sends every signal alone from now on. `false`: that was the case already. */
    stopBatching: (): boolean => {
      const wasBatching = size > 1;
      size = 1;
      return wasBatching;
    },
  };
};

export type Batcher<Sent extends Entry> = ReturnType<typeof createBatcher<Sent>>;
