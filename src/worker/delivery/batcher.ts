import type { BisectBatch, DeliveryResult } from './bisectBatch.ts';
import type { Entry } from './sendAuthorised.ts';

type Waiting = {
  entry: Entry;
  resolve: (delivery: DeliveryResult) => void;
  reject: (err: unknown) => void;
};

type Deps = {
  bisectBatch: BisectBatch;
  size: number;
  /** The longest that the first of a batch waits for company. */
  lingerMs: number;
};

/**
 * Signals that wait together travel together. While nothing is under way nobody waits; otherwise a
 * batch leaves when it is full, when its first signal has waited long enough, or when the road is free.
 */
export const createBatcher = ({ bisectBatch, lingerMs, ...deps }: Deps) => {
  let { size } = deps;
  const waiting: Waiting[] = [];
  let underWay = 0;
  let timer: NodeJS.Timeout | undefined;

  const depart = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting.splice(0, size);
    if (batch.length === 0) return;
    underWay += 1;
    void deliver(batch).finally(() => {
      underWay -= 1;
      if (underWay === 0) depart();
    });
    if (waiting.length > 0) timer = setTimeout(depart, lingerMs);
  };

  const deliver = async (batch: Waiting[]): Promise<void> => {
    const byEntry = new Map(batch.map((each) => [each.entry, each]));
    try {
      await bisectBatch([...byEntry.keys()], 'normal', (entry, delivery) =>
        byEntry.get(entry)?.resolve(delivery),
      );
    } catch (err) {
      // Those that were settled before stay so.
      for (const { reject } of batch) reject(err);
    }
  };

  return {
    send: (entry: Entry): Promise<DeliveryResult> =>
      new Promise((resolve, reject) => {
        waiting.push({ entry, resolve, reject });
        if (underWay === 0 || waiting.length >= size) depart();
        else timer ??= setTimeout(depart, lingerMs);
      }),
    /** From now on every signal goes alone. `false`: that was so already. */
    stopBatching: (): boolean => {
      const stops = size > 1;
      size = 1;
      return stops;
    },
  };
};

export type Batcher = ReturnType<typeof createBatcher>;
