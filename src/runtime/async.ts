/** For what waits for the queue. */
export const queueTimedOut = (): Error => new Error('The queue does not answer');

/** Rejects with what `onLate` makes if `work` has not settled within `ms`. The work itself goes on. */
export const withDeadline = async <T>(
  work: Promise<T>,
  ms: number,
  onLate: () => Error,
): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onLate()), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** Runs once for all who ask while it does: behind one that hangs nothing piles up. */
export const singleFlight = <T>(run: () => Promise<T>): (() => Promise<T>) => {
  let running: Promise<T> | undefined;
  return () => {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  };
};

type Waiting<Entry, Answer> = {
  entry: Entry;
  resolve: (answer: Answer) => void;
  reject: (err: unknown) => void;
};

/**
 * Answers together what is asked in the same turn of the loop, by whomever, up to `atOnce` at a time.
 * `answer` gives one for each, in order; if it rejects, all who were asked about hear of it.
 */
export const createMicroBatch = <Entry, Answer>(
  answer: (entries: Entry[]) => Promise<Answer[]>,
  atOnce: number,
) => {
  let gathered: Waiting<Entry, Answer>[] = [];

  const answerAll = async (some: Waiting<Entry, Answer>[]): Promise<void> => {
    try {
      const answers = await answer(some.map(({ entry }) => entry));
      for (const [index, { resolve, reject }] of some.entries()) {
        const own = answers[index];
        if (own === undefined) reject(new Error('Asked, but not answered'));
        else resolve(own);
      }
    } catch (err) {
      for (const { reject } of some) reject(err);
    }
  };

  const send = (): void => {
    const some = gathered;
    gathered = [];
    if (some.length > 0) void answerAll(some);
  };

  return (entry: Entry): Promise<Answer> =>
    new Promise((resolve, reject) => {
      if (gathered.length === 0) setImmediate(send);
      gathered.push({ entry, resolve, reject });
      // Redis can begin, while the rest of this turn is still to come.
      if (gathered.length === atOnce) send();
    });
};

/** Runs one piece of work after the other, in the order in which they came. */
export const createSerialQueue = () => {
  let last: Promise<unknown> = Promise.resolve();

  return <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
};

/** Rejects once aborted, with the reason. The work itself goes on: others may wait for the same. */
export const abortable = <T>(work: Promise<T>, abort: AbortSignal | undefined): Promise<T> => {
  if (abort === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abort.reason);
    abort.addEventListener('abort', onAbort, { once: true });
    if (abort.aborted) onAbort();
    work.then(resolve, reject).finally(() => abort.removeEventListener('abort', onAbort));
  });
};
