type Waiting = { settle: (may: boolean) => void; fail: (err: unknown) => void };

type Deps = {
  /** Of the lane's store: how long until our slot comes, or, below 0, until it may be asked again. */
  takeSlot: (perSecond: number) => Promise<number>;
  /** How many requests a second all workers may make at present; `undefined`: any number. */
  perSecond: () => number | undefined;
};

/**
 * Makes requests wait for their turn where their rate is limited, in the order in which they came. Of
 * the slots that all workers share each takes only the next ones: what waits longer holds none, and
 * leaves none unused behind.
 */
export const createPacer = ({ takeSlot, perSecond }: Deps) => {
  let waiting: Waiting[] = [];
  let serving = false;

  const serve = async (): Promise<void> => {
    try {
      while (waiting.length > 0) {
        const rate = perSecond();
        const waitMs = rate === undefined ? 0 : await takeSlot(rate);
        if (waitMs < 0) await delay(-waitMs);
        else admit(waiting.shift(), waitMs);
      }
    } catch (err) {
      for (const { fail } of waiting.splice(0)) fail(err);
    } finally {
      // In the same step in which nobody was found waiting: whoever comes next starts it again.
      serving = false;
    }
  };

  const admit = (first: Waiting | undefined, waitMs: number): void => {
    if (waitMs === 0) first?.settle(true);
    else if (first !== undefined) setTimeout(() => first.settle(true), waitMs);
  };

  const keepServing = (): void => {
    if (serving) return;
    serving = true;
    void serve();
  };

  return {
    /** `false`: turned away. Rejects once aborted. */
    turn: (abort: AbortSignal | undefined): Promise<boolean> =>
      new Promise((resolve, reject) => {
        const end = (): void => {
          abort?.removeEventListener('abort', onAbort);
          waiting = waiting.filter((each) => each !== entry);
        };
        const entry: Waiting = {
          settle: (may) => {
            end();
            resolve(may);
          },
          fail: (err) => {
            end();
            reject(err);
          },
        };
        const onAbort = () => entry.fail(abort?.reason);
        abort?.addEventListener('abort', onAbort, { once: true });
        if (abort?.aborted) return onAbort();
        waiting.push(entry);
        keepServing();
      }),

    /** Turns everybody away who has no slot yet. */
    turnAway: (): void => {
      for (const { settle } of waiting.splice(0)) settle(false);
    },

    isWaitedFor: (): boolean => waiting.length > 0,
  };
};

const delay = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
