import type { Closure, LaneState } from '../queue/laneState.ts';

const FIRST_PAUSE_MS = 1_000;
// However long SEEK asks us to stay away, somebody looks after an hour: it may have been a mistake.
const LONGEST_PAUSE_MS = 3_600_000;
const JITTER = 0.2;
// Answers that come together ask for pauses that end together.
const WORTH_TELLING_MS = 250;
// A complaint about our rate makes us slower, at most once a second, for many answers may be one
// complaint. Without another the pace doubles this often, until it slows nobody.
const SLOWER = 0.7;
const SLOWEST = 5;
const SLOWER_EVERY_MS = 1_000;
const PACE_DOUBLES_EVERY_MS = 3_000;
const NO_PACE = 1_000;

// How long a prober is waited for. It renews this while it lives.
const LEASE_MS = 5_000;

/** Why the lane closes, or stays closed. */
export type Trouble = {
  code: string;
  reason: string;
  retryAfterMs?: number | undefined;
  /** SEEK limits our rate; so many requests a second were made when it complained. */
  limitedAt?: number;
};

type Pauses = { maxMs: number; random: () => number };

/**
 * The lane after trouble. While it is closed only the probe makes the pause grow: the requests that
 * were under way when it closed, for which `by` is absent, all come to the same trouble, and say
 * nothing new but how long to stay away. `undefined`: no change.
 */
export const close = (
  state: LaneState,
  trouble: Trouble,
  { by, now, ...pauses }: Pauses & { by: string | undefined; now: number },
): LaneState | undefined => {
  const { closed } = state;
  const retryAt = now + Math.min(trouble.retryAfterMs ?? 0, LONGEST_PAUSE_MS);
  const isProbe = by !== undefined && closed?.probe?.by === by;
  if (closed !== undefined && !isProbe) {
    return retryAt > closed.until + WORTH_TELLING_MS
      ? { ...state, closed: { ...closed, until: retryAt } }
      : undefined;
  }
  const number = (closed?.pauses ?? 0) + 1;
  const { code, reason } = trouble;
  return {
    ...(trouble.limitedAt === undefined ? state : slowed(state, trouble.limitedAt, now)),
    closed: {
      ...{ since: closed?.since ?? now, code, reason, pauses: number },
      until: Math.max(now + pauseMs(number, pauses), retryAt),
    },
  };
};

/** Growing from a second to the longest, and spread, so that workers do not march in step. */
export const pauseMs = (number: number, { maxMs, random }: Pauses): number => {
  const planned = Math.min(FIRST_PAUSE_MS * 2 ** (number - 1), maxMs);
  return Math.round(Math.min(planned * (1 + JITTER * (2 * random() - 1)), maxMs));
};

/** The lane after a probe that SEEK took or judged. `undefined`: it was not this prober's to open. */
export const open = ({ closed, ...rest }: LaneState, by: string): LaneState | undefined =>
  closed?.probe?.by === by ? rest : undefined;

/** Gives the next try to `by`, or lets it keep it. `undefined`: somebody else has it, or nobody may. */
export const takeProbe = (state: LaneState, by: string, now: number): LaneState | undefined => {
  const { closed } = state;
  if (closed === undefined || !mayProbe(closed, by, now)) return undefined;
  return { ...state, closed: { ...closed, probe: { by, until: now + LEASE_MS } } };
};

/** Leaves the next try to whoever comes. */
export const yieldProbe = (state: LaneState, by: string): LaneState | undefined => {
  if (state.closed?.probe?.by !== by) return undefined;
  const { probe, ...closed } = state.closed;
  return { ...state, closed };
};

const mayProbe = ({ until, probe }: Closure, by: string, now: number): boolean =>
  probe?.by === by || (now >= until && (probe === undefined || now >= probe.until));

/** The lane after a complaint about our rate. `undefined`: one that was heard already. */
export const slow = (state: LaneState, limitedAt: number, now: number): LaneState | undefined =>
  state.pace !== undefined && now - state.pace.at < SLOWER_EVERY_MS
    ? undefined
    : slowed(state, limitedAt, now);

const slowed = (state: LaneState, limitedAt: number, now: number): LaneState => {
  const perSecond = Math.max(SLOWEST, (paceOf(state, now) ?? limitedAt) * SLOWER);
  return { ...state, pace: { perSecond, at: now } };
};

/** So many requests a second, over all workers; `undefined` where nothing limits them. */
export const paceOf = ({ pace }: LaneState, now: number): number | undefined => {
  if (pace === undefined) return undefined;
  const perSecond = pace.perSecond * 2 ** (Math.max(0, now - pace.at) / PACE_DOUBLES_EVERY_MS);
  return perSecond < NO_PACE ? perSecond : undefined;
};
