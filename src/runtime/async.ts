/** The error of a `withDeadline` on a request to the queue. */
export const queueTimedOut = (): Error => new Error('The queue does not answer');

// A timer that is this late shows that the process was frozen, or its event loop blocked.
const FROZEN_MS = 1_000;
// The longest part of a time limit that a freeze can use up.
const SLICE_MS = 1_000;

/**
 * Calls `onEnd` after `ms` in which the process ran. Time in which it was frozen does not count: after a
 * freeze Node runs due timers before it reads sockets, so an answer that has arrived would look late.
 */
export const startTimeLimit = (ms: number, onEnd: () => void) => {
  let leftMs = ms;
  let dueAt = 0;
  let wasFrozen = false;
  let hasExtended = false;
  let timer: NodeJS.Timeout | undefined;

  const isLate = (): boolean => performance.now() - dueAt > FROZEN_MS;

  const startSlice = (): void => {
    const sliceMs = Math.min(leftMs, SLICE_MS);
    leftMs -= sliceMs;
    dueAt = performance.now() + sliceMs;
    timer = setTimeout(endSlice, sliceMs);
  };

  const endSlice = (): void => {
    if (isLate()) {
      wasFrozen = true;
      // A freeze at the end of the limit leaves time to read the sockets. Only once: a process that is
      // blocked all the time must reach its limit too.
      if (!hasExtended) leftMs = Math.max(leftMs, Math.min(ms, SLICE_MS));
      hasExtended = true;
    }
    if (leftMs > 0) startSlice();
    else onEnd();
  };

  startSlice();
  return {
    /** Whether the process was frozen for over a second since the start. */
    wasFrozen: (): boolean => wasFrozen || isLate(),
    clear: (): void => clearTimeout(timer),
  };
};

/**
 * Rejects with the error from `onLate` if `work` takes longer than `ms` in which the process ran. It does
 * not stop the work.
 */
export const withDeadline = async <T>(
  work: Promise<T>,
  ms: number,
  onLate: () => Error,
): Promise<T> => {
  let limit: { clear: () => void } | undefined;
  const late = new Promise<never>((_, reject) => {
    limit = startTimeLimit(ms, () => reject(onLate()));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    limit?.clear();
  }
};

/** Concurrent callers share one run, so no calls pile up behind a run that hangs. */
export const singleFlight = <T>(run: () => Promise<T>): (() => Promise<T>) => {
  let running: Promise<T> | undefined;
  return () => {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  };
};

/**
 * Concurrent callers share one run that starts after all of their calls: at once, or when the running one
 * has ended.
 */
export const nextFlight = <T>(run: () => Promise<T>): (() => Promise<T>) => {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    next ??= running.then(() => {
      next = undefined;
      const current = run();
      running = current.catch(() => {});
      return current;
    });
    return next;
  };
};

type PendingEntry<Entry, Answer> = {
  entry: Entry;
  resolve: (answer: Answer) => void;
  reject: (err: unknown) => void;
};

/**
 * Combines calls from one turn of the event loop into one call of `run`, with at most `maxSize` entries.
 * `run` returns one answer per entry, in order. If it rejects, every combined call rejects.
 */
export const createMicroBatch = <Entry, Answer>(
  run: (entries: Entry[]) => Promise<Answer[]>,
  maxSize: number,
) => {
  let pending: PendingEntry<Entry, Answer>[] = [];

  const runBatch = async (batch: PendingEntry<Entry, Answer>[]): Promise<void> => {
    try {
      const answers = await run(batch.map(({ entry }) => entry));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const answer = answers[index];
        if (answer === undefined) {
          reject(
            new Error('Expected one answer per entry of the batch, found none for this entry'),
          );
        } else resolve(answer);
      }
    } catch (err) {
      for (const { reject } of batch) reject(err);
    }
  };

  const flush = (): void => {
    const batch = pending;
    pending = [];
    if (batch.length > 0) void runBatch(batch);
  };

  return (entry: Entry): Promise<Answer> =>
    new Promise((resolve, reject) => {
      if (pending.length === 0) setImmediate(flush);
      pending.push({ entry, resolve, reject });
      // A full batch is sent at once, so that Redis works while this turn collects the next one.
      if (pending.length === maxSize) flush();
    });
};

/** Runs tasks one after the other, in the order of the calls. A task that fails does not stop the next. */
export const createSerialQueue = () => {
  let last: Promise<unknown> = Promise.resolve();

  return <T>(task: () => Promise<T>): Promise<T> => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
};

/** Rejects with the abort reason. It does not stop the work, which other callers may share. */
export const abortable = <T>(work: Promise<T>, abort: AbortSignal | undefined): Promise<T> => {
  if (abort === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abort.reason);
    abort.addEventListener('abort', onAbort, { once: true });
    if (abort.aborted) onAbort();
    work.then(resolve, reject).finally(() => abort.removeEventListener('abort', onAbort));
  });
};
