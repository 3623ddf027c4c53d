import type { BreakerState } from '../../queue/breakerState.ts';

type WaitingRequest = {
  resolve: (granted: boolean) => void;
  reject: (err: unknown) => void;
};

type Deps = {
  /**
   * From the breaker's store: reserves the next slot and resolves with the milliseconds until it comes.
   * Below 0: nothing was reserved, and the next call is due after that many milliseconds.
   */
  reserveSlot: (perSecond: number) => Promise<number>;
  /** Requests per second that all workers together may make at present; `undefined`: no limit. */
  perSecond: () => number | undefined;
};

/**
 * Delays requests, in the order of their arrival, so that all workers together keep to the rate. A worker
 * reserves only the next of the slots that all workers share. Requests further back reserve none yet, so
 * their slots are not lost if the worker stops.
 */
export const createRateLimiter = ({ reserveSlot, perSecond }: Deps) => {
  let waiting: WaitingRequest[] = [];
  let serving = false;

  const serve = async (): Promise<void> => {
    try {
      while (waiting.length > 0) {
        const rate = perSecond();
        const waitMs = rate === undefined ? 0 : await reserveSlot(rate);
        if (waitMs < 0) await delay(-waitMs);
        else grantAfter(waiting.shift(), waitMs);
      }
    } catch (err) {
      for (const { reject } of waiting.splice(0)) reject(err);
    } finally {
      // Runs in the same tick in which the queue was found empty, so the next request starts it again.
      serving = false;
    }
  };

  const startServing = (): void => {
    if (serving) return;
    serving = true;
    void serve();
  };

  return {
    /** Resolves with `true` when the request may be sent, `false` if it is cancelled. Rejects on abort. */
    awaitSlot: (abort: AbortSignal | undefined): Promise<boolean> =>
      new Promise((resolve, reject) => {
        const leave = (): void => {
          abort?.removeEventListener('abort', onAbort);
          waiting = waiting.filter((each) => each !== request);
        };
        const request: WaitingRequest = {
          resolve: (granted) => {
            leave();
            resolve(granted);
          },
          reject: (err) => {
            leave();
            reject(err);
          },
        };
        const onAbort = () => request.reject(abort?.reason);
        abort?.addEventListener('abort', onAbort, { once: true });
        if (abort?.aborted) return onAbort();
        waiting.push(request);
        startServing();
      }),

    /** Ends the wait of every request that has no slot yet. */
    cancelWaiting: (): void => {
      for (const { resolve } of waiting.splice(0)) resolve(false);
    },

    hasWaiting: (): boolean => waiting.length > 0,
  };
};

const grantAfter = (request: WaitingRequest | undefined, waitMs: number): void => {
  if (waitMs === 0) request?.resolve(true);
  else if (request !== undefined) setTimeout(() => request.resolve(true), waitMs);
};

const delay = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });

// A rate limit of SEEK lowers the rate at most once a second: many answers may mean one and the same limit.
const THROTTLE_FACTOR = 0.75;
const THROTTLE_INTERVAL_MS = 1_000;
const MIN_PER_SECOND = 5;
// SEEK's limit is likely to stay where it is. The rate rises only after a time without a rate limit, until
// it no longer delays any request.
const RAMP_UP_DELAY_MS = 30_000;
const DOUBLING_INTERVAL_MS = 3_000;
const MAX_PER_SECOND = 1_000;

/** The state after SEEK limited our rate. `undefined`: the rate was lowered less than a second ago. */
export const throttleDown = (
  state: BreakerState,
  limitedAt: number,
  now: number,
): BreakerState | undefined =>
  state.throttle !== undefined && now - state.throttle.at < THROTTLE_INTERVAL_MS
    ? undefined
    : lowerRate(state, limitedAt, now);

export const lowerRate = (state: BreakerState, limitedAt: number, now: number): BreakerState => {
  const rate = currentRate(state, now) ?? limitedAt;
  return {
    ...state,
    throttle: { perSecond: Math.max(MIN_PER_SECOND, rate * THROTTLE_FACTOR), at: now },
  };
};

/** Requests per second of all workers together; `undefined`: not throttled. */
export const currentRate = ({ throttle, open }: BreakerState, now: number): number | undefined => {
  if (throttle === undefined) return undefined;
  // While the breaker is open, hardly any request is made, so the rate must not rise.
  const rampUpMs = open === undefined ? Math.max(0, now - throttle.at - RAMP_UP_DELAY_MS) : 0;
  const perSecond = throttle.perSecond * 2 ** (rampUpMs / DOUBLING_INTERVAL_MS);
  return perSecond < MAX_PER_SECOND ? perSecond : undefined;
};

/** The throttle of a breaker that closes: the rate at which it opened, held for the ramp-up delay again. */
export const restartRampUp = (
  throttle: BreakerState['throttle'],
  now: number,
): Pick<BreakerState, 'throttle'> =>
  throttle === undefined ? {} : { throttle: { ...throttle, at: now } };
