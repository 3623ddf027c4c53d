import type { LaneState } from '../queue/laneState.ts';

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
export const slow = (state: LaneState, limitedAt: number, now: number): LaneState | undefined =>
  state.pace !== undefined && now - state.pace.at < SLOWER_EVERY_MS
    ? undefined
    : slowed(state, limitedAt, now);

export const slowed = (state: LaneState, limitedAt: number, now: number): LaneState => {
  const perSecond = Math.max(SLOWEST, (paceOf(state, now) ?? limitedAt) * SLOWER);
  return { ...state, pace: { perSecond, at: now } };
};

/** So many requests a second, over all workers; `undefined` where nothing limits them. */
export const paceOf = ({ pace, closed }: LaneState, now: number): number | undefined => {
  if (pace === undefined) return undefined;
  // Nothing is learnt about a limit while nobody comes near it.
  const risingMs = closed === undefined ? Math.max(0, now - pace.at - HOLD_MS) : 0;
  const perSecond = pace.perSecond * 2 ** (risingMs / DOUBLES_EVERY_MS);
  return perSecond < NO_PACE ? perSecond : undefined;
};

/** A lane that opens goes on at the pace at which it closed. */
export const resumed = (pace: LaneState['pace'], now: number): Pick<LaneState, 'pace'> =>
  pace === undefined ? {} : { pace: { ...pace, at: now } };
