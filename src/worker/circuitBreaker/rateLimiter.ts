import type { BreakerState } from '../../queue/breakerState.ts';

type Waiting = { settle: (may: boolean) => void; fail: (err: unknown) => void };

type Deps = {
  /** Of the lane's store: how long until our slot comes, or, below 0, until it may be asked again. */
  reserveSlot: (perSecond: number) => Promise<number>;
  /** How many requests a second all workers may make at present; `undefined`: any number. */
  perSecond: () => number | undefined;
};

/**
 * Makes requests wait for their turn where their rate is limited, in the order in which they came. Of
 * the slots that all workers share each takes only the next ones: what waits longer holds none, and
 * leaves none unused behind.
 */
export const createRateLimiter = ({ reserveSlot, perSecond }: Deps) => {
  let waiting: Waiting[] = [];
  let serving = false;

  const serve = async (): Promise<void> => {
    try {
      while (waiting.length > 0) {
        const rate = perSecond();
        const waitMs = rate === undefined ? 0 : await reserveSlot(rate);
        if (waitMs < 0) await delay(-waitMs);
        else acquire(waiting.shift(), waitMs);
      }
    } catch (err) {
      for (const { fail } of waiting.splice(0)) fail(err);
    } finally {
      // In the same step in which nobody was found waiting: whoever comes next starts it again.
      serving = false;
    }
  };

  const acquire = (first: Waiting | undefined, waitMs: number): void => {
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

// A complaint about our rate makes us slower, at most once a second, for many answers may be one
// complaint.
const SLOWER = 0.75;
const SLOWEST = 5;
const SLOWER_EVERY_MS = 1_000;
// The limit is likely to stay where it is. Only after a time without a complaint do we try to go
// faster, until nobody is slowed any more.
const HOLD_MS = 30_000;
const DOUBLES_EVERY_MS = 3_000;
const NO_PACE = 1_000;

/** The lane after a complaint about our rate. `undefined`: one that was heard already. */
export const slow = (
  state: BreakerState,
  limitedAt: number,
  now: number,
): BreakerState | undefined =>
  state.pace !== undefined && now - state.pace.at < SLOWER_EVERY_MS
    ? undefined
    : slowed(state, limitedAt, now);

export const slowed = (state: BreakerState, limitedAt: number, now: number): BreakerState => {
  const perSecond = Math.max(SLOWEST, (paceOf(state, now) ?? limitedAt) * SLOWER);
  return { ...state, pace: { perSecond, at: now } };
};

/** So many requests a second, over all workers; `undefined` where nothing limits them. */
export const paceOf = ({ pace, closed }: BreakerState, now: number): number | undefined => {
  if (pace === undefined) return undefined;
  // Nothing is learnt about a limit while nobody comes near it.
  const risingMs = closed === undefined ? Math.max(0, now - pace.at - HOLD_MS) : 0;
  const perSecond = pace.perSecond * 2 ** (risingMs / DOUBLES_EVERY_MS);
  return perSecond < NO_PACE ? perSecond : undefined;
};

/** A lane that opens goes on at the pace at which it closed. */
export const resumed = (pace: BreakerState['pace'], now: number): Pick<BreakerState, 'pace'> =>
  pace === undefined ? {} : { pace: { ...pace, at: now } };
