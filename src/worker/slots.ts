import { jsonBytes } from '../schemas/json.ts';
import type { Concurrency } from './circuitBreaker/localBreaker.ts';

// A signal takes several times its size while it is sent. This bound keeps a worker within 320 MiB, also
// with signals that were accepted under a larger MAX_SIGNAL_BYTES.
const MAX_BYTES = 8 * 1024 * 1024;

type Deps = {
  /** How many signals the worker takes at a time if nothing limits it. */
  concurrency: number;
  setConcurrency: (slots: number) => void;
  maxBytes?: number;
};

/**
 * How many signals a worker takes at a time: as many as the circuit breaker allows, but no more while those
 * in flight are large together, or while one of them must run alone.
 */
export const createSlots = ({ concurrency, setConcurrency, maxBytes = MAX_BYTES }: Deps) => {
  const slots = { none: 0, one: 1, all: concurrency };
  let allowed: Concurrency = 'all';
  const bytesOf = new Map<string, number>();
  let bytesInFlight = 0;
  let isIsolating = false;
  let current = concurrency;

  const update = (): void => {
    const isLimited = isIsolating || bytesInFlight > maxBytes;
    const wanted = Math.min(slots[allowed], isLimited ? 1 : concurrency);
    if (wanted === current) return;
    current = wanted;
    setConcurrency(wanted);
  };

  const take = (id: string, bytes: number): void => {
    bytesInFlight += bytes - (bytesOf.get(id) ?? 0);
    bytesOf.set(id, bytes);
    update();
  };

  const release = (id: string): void => {
    bytesInFlight -= bytesOf.get(id) ?? 0;
    bytesOf.delete(id);
    update();
  };

  return {
    /** Called by the circuit breaker. */
    allow: (concurrent: Concurrency): void => {
      allowed = concurrent;
      update();
    },

    /** While `true`, the worker takes no further signal. */
    isolate: (isolating: boolean): void => {
      isIsolating = isolating;
      update();
    },

    /** Counts a job from when the worker has fetched it: BullMQ fetches many before it starts the first. */
    take,

    /** Call when a job has ended, also one that was not run. */
    release,

    /** Counts a job until `work` ends. */
    count: async <T>(
      { id = '', data }: { id?: string | undefined; data: unknown },
      work: () => Promise<T>,
    ): Promise<T> => {
      if (!bytesOf.has(id)) take(id, jsonBytes(data));
      try {
        return await work();
      } finally {
        release(id);
      }
    },
  };
};

export type Slots = ReturnType<typeof createSlots>;
