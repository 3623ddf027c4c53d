import type { Logger } from '../logging.ts';
import type { LaneReading, LaneState, LaneStore } from '../queue/laneState.ts';
import { close, open, paceOf, slow, type Trouble, takeProbe, yieldProbe } from './laneRules.ts';
import { createRecentRate } from './recentRate.ts';
import { createStreak } from './streak.ts';
import { unlessAborted } from './unlessAborted.ts';

const LOOK_EVERY_MS = 250;
// Others write now and then; so many times in a row that is no accident.
const MOST_TRIES = 20;
// While signals are under way: a worker that has none need not know.
const FRESH_MS = 500;
// Who may try and has nothing to try with lets another worker have its turn.
const IDLE_PROBER_MS = 10_000;
const YIELD_MS = 1_000;

/** What a request says about the road to SEEK, whatever it says about its signals. */
export type RoadReport =
  | { kind: 'clear' }
  /** `certain`: nothing was sent, so that no signal can be at fault. */
  | { kind: 'trouble'; certain: boolean; trouble: Trouble }
  | { kind: 'limited'; trouble: Trouble };

/** Leave to make requests: as everybody, or as the one who tries while the lane is closed. */
export type Pass = 'open' | 'probe';

type Deps = {
  store: LaneStore;
  /** Who we are among the workers. */
  id: string;
  /** How many signals this worker may take at a time: none, one to probe with, or as many as it likes. */
  throttle: (slots: 'none' | 'one' | 'all') => void;
  /** `RATE_LIMIT_PER_SECOND` */
  perSecond: number | undefined;
  pauseMaxMs: number;
  logger: Logger;
  now?: () => number;
  random?: () => number;
};

/**
 * The road to SEEK that all workers share. It closes for all of them when SEEK is in trouble, for
 * growing pauses; after each of them one worker lets one signal try; the first success opens it.
 */
export const createLane = ({ now = Date.now, random = Math.random, ...deps }: Deps) => {
  const { store, id, throttle, logger } = deps;
  const streak = createStreak();
  const rate = createRecentRate(now);
  let state: LaneState = {};
  /** The store's clock against ours. */
  let ahead = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;
  let watching: NodeJS.Timeout | undefined;
  let probe: 'no' | 'ours' | 'under way' = 'no';
  let probeSince = 0;
  let yieldedUntil = 0;
  let closures = 0;
  let done = false;

  const storeNow = (): number => now() + ahead;

  const slots = (): 'none' | 'one' | 'all' => {
    if (state.closed === undefined) return 'all';
    return probe === 'no' ? 'none' : 'one';
  };

  const take = (reading: LaneReading): void => {
    ahead = reading.now - now();
    readAt = now();
    turn(reading.state);
  };

  /** Takes over what is true now, and lets the worker take as many signals as that allows. */
  const turn = (next: LaneState): void => {
    const before = slots();
    if (next.closed !== undefined && state.closed === undefined) closures += 1;
    state = next;
    if (next.closed?.probe?.by !== id) probe = 'no';
    else if (probe === 'no') [probe, probeSince] = ['ours', now()];
    if (slots() !== before) throttle(slots());
    if (state.closed !== undefined) watch();
  };

  /** Writes what the rule makes of the lane, unless it leaves it as it is. */
  const change = async (
    rule: (state: LaneState, now: number) => LaneState | undefined,
  ): Promise<LaneState | undefined> => {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const reading = await store.read();
      const next = rule(reading.state, reading.now);
      if (next === undefined) {
        take(reading);
        return undefined;
      }
      if (await store.replace(reading.version, next)) {
        take({ ...reading, state: next });
        return reading.state;
      }
    }
    throw new Error('The lane is not to be written');
  };

  const look = (): Promise<void> => {
    looking ??= store
      .read()
      .then(take)
      .finally(() => {
        looking = undefined;
      });
    return looking;
  };

  /** While the lane is closed: sees it open, and asks for the next try when a pause is over. */
  const watch = (): void => {
    if (watching !== undefined || done) return;
    watching = setTimeout(async () => {
      await tend().catch((err: Error) => logger.warn({ reason: err.message }, 'Lane not read'));
      watching = undefined;
      if (state.closed !== undefined) watch();
    }, LOOK_EVERY_MS);
  };

  const tend = async (): Promise<unknown> => {
    if (probe === 'ours' && now() - probeSince > IDLE_PROBER_MS) {
      yieldedUntil = now() + YIELD_MS;
      return change((s) => yieldProbe(s, id));
    }
    const due = state.closed !== undefined && storeNow() >= state.closed.until;
    return due && now() >= yieldedUntil ? change((s, at) => takeProbe(s, id, at)) : look();
  };

  const shut = async (trouble: Trouble, pass: Pass): Promise<void> => {
    streak.end();
    const limitedAt = trouble.limitedAt;
    const before = await change((s, at) =>
      close(s, trouble, {
        ...{ by: pass === 'probe' ? id : undefined, now: at },
        ...{ maxMs: deps.pauseMaxMs, random },
      }),
    );
    if (before === undefined || state.closed === undefined) return;
    // Whoever waits for a slot is not going to send, and must not be waited for by the probe.
    await store.clearSlots();
    const { since, code, reason, until, pauses } = state.closed;
    const pauseMs = Math.round(until - storeNow());
    const fields = { code, reason, since: new Date(since).toISOString(), pauses, pauseMs };
    if (before.closed !== undefined) {
      return logger.info(fields, pass === 'probe' ? 'lane.probed' : 'lane.stayedClosed');
    }
    logger.warn(limitedAt === undefined ? fields : { ...fields, limitedAt }, 'lane.closed');
  };

  const slowDown = async (limitedAt: number): Promise<void> => {
    const before = await change((s, at) => slow(s, limitedAt, at));
    const perSecond = Math.round(paceOf(state, storeNow()) ?? 0);
    if (before !== undefined) logger.info({ limitedAt, perSecond }, 'lane.slowed');
  };

  const clear = async (pass: Pass): Promise<void> => {
    streak.end();
    if (pass === 'open') return;
    const before = await change((s) => open(s, id));
    if (before?.closed === undefined) return;
    const { since, code, pauses } = before.closed;
    logger.info({ code, closedForMs: Math.round(storeNow() - since), pauses }, 'lane.opened');
  };

  const hear = async (
    report: RoadReport,
    signalIds: readonly string[],
    pass: Pass,
  ): Promise<void> => {
    switch (report.kind) {
      case 'clear':
        return clear(pass);
      case 'limited': {
        const limitedAt = rate.perSecond();
        const goesOn = streak.add(signalIds);
        const mayGoOn = report.trouble.retryAfterMs === undefined && !goesOn && pass === 'open';
        return mayGoOn ? slowDown(limitedAt) : shut({ ...report.trouble, limitedAt }, pass);
      }
      case 'trouble': {
        const goesOn = streak.add(signalIds);
        if (report.certain || goesOn || pass === 'probe') return shut(report.trouble, pass);
      }
    }
  };

  const stayInformed = async (abort: AbortSignal | undefined): Promise<void> => {
    if (now() - readAt > FRESH_MS) await unlessAborted(look(), abort);
  };

  return {
    /**
     * Asked before a signal is sent. `undefined`: it may not be now, and the worker takes no more.
     * Whoever is let in as a probe has to `leave`.
     */
    admit: async (abort?: AbortSignal): Promise<Pass | undefined> => {
      await stayInformed(abort);
      if (abort?.aborted) return undefined;
      if (state.closed === undefined) return 'open';
      if (probe !== 'ours') return undefined;
      probe = 'under way';
      return 'probe';
    },

    /** Asked before each request; waits for its turn where the rate is limited. */
    enter: async (pass: Pass, abort: AbortSignal | undefined): Promise<boolean> => {
      await stayInformed(abort);
      const pace = Math.min(
        deps.perSecond ?? Number.POSITIVE_INFINITY,
        paceOf(state, storeNow()) ?? Number.POSITIVE_INFINITY,
      );
      if (Number.isFinite(pace)) {
        const closuresBefore = closures;
        const waitMs = await unlessAborted(store.takeSlot(pace), abort);
        if (waitMs > 0) await unlessAborted(delay(waitMs), abort);
        await stayInformed(abort);
        // Its slot went with the closing.
        if (pass === 'open' && closures !== closuresBefore) return false;
      }
      const may = pass === 'open' ? state.closed === undefined : probe === 'under way';
      if (may) rate.note();
      return may;
    },

    /**
     * Told after each request, and of requests for a partner token that failed. Never rejects: what a
     * signal was answered counts, whether or not the others can be told of it.
     */
    report: (report: RoadReport, signalIds: readonly string[], pass: Pass): Promise<void> =>
      hear(report, signalIds, pass).catch((err: Error) =>
        logger.warn({ reason: err.message }, 'Lane not told'),
      ),

    /** The probing signal has come to an end, whatever end it was: another may be next. */
    leave: (pass: Pass): void => {
      if (pass === 'probe' && probe === 'under way') probe = 'ours';
    },

    isClosed: (): boolean => state.closed !== undefined,

    stop: (): void => {
      done = true;
      clearTimeout(watching);
    },
  };
};

export type Lane = ReturnType<typeof createLane>;

const delay = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
