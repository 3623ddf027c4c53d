import type { Logger } from '../../observability/logger.ts';
import type { LaneStore } from '../../queue/breakerState.ts';
import { unlessAborted } from '../../runtime/async.ts';
import { createRecentRate, createStreak } from './failureTracking.ts';
import { createOwnRoad } from './localBreaker.ts';
import { createPacer, paceOf, slow } from './rateLimiter.ts';
import { createSharedLane } from './sharedState.ts';
import { close, open, type Trouble } from './transitions.ts';

// While signals are under way: a worker that has none need not know.
const FRESH_MS = 500;
// Who failed last lets the others try first, and all the more who doubts its own way to SEEK.
const RELUCTANCE_MS = 400;
const DOUBTFUL_MS = 5_000;

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
  /** How many signals this worker may take at a time: none, one to try with, or as many as it likes. */
  throttle: (slots: 'none' | 'one' | 'all') => void;
  /** `RATE_LIMIT_PER_SECOND` */
  perSecond: number | undefined;
  pauseMaxMs: number;
  logger: Logger;
  now?: () => number;
  random?: () => number;
};

// A clock that is set back must not make us blind to what the others know.
const monotonic = (): number => performance.now();

/**
 * The road to SEEK that all workers share. It closes for all of them when SEEK is in trouble, for
 * growing pauses; after each of them one worker lets one signal try; the first success opens it. A
 * worker that is alone in its trouble stays away by itself.
 */
export const createLane = ({ now = monotonic, random = Math.random, ...deps }: Deps) => {
  const { store, id, logger } = deps;
  const pauses = { maxMs: deps.pauseMaxMs, random };
  const streak = createStreak();
  const rate = createRecentRate(now);
  const own = createOwnRoad({ pauses, onTurn: () => allot(), logger });
  let given: 'none' | 'one' | 'all' = 'all';
  let failedLast = false;

  const shared = createSharedLane({
    ...{ store, id, logger, now, random },
    reluctanceMs: () => (own.isDoubtful() ? DOUBTFUL_MS : failedLast ? RELUCTANCE_MS : 0),
    onTurn: (opened) => {
      if (opened) own.contradicted();
      allot();
    },
  });

  const pace = (): number | undefined => {
    const limits = [deps.perSecond, paceOf(shared.state(), shared.storeNow())];
    const known = limits.filter((limit) => limit !== undefined);
    return known.length > 0 ? Math.min(...known) : undefined;
  };
  const pacer = createPacer({ takeSlot: store.takeSlot, perSecond: pace });

  const slots = (): 'none' | 'one' | 'all' => {
    if (shared.state().closed !== undefined) return shared.probe() === 'no' ? 'none' : 'one';
    return own.slots();
  };

  const allot = (): void => {
    if (slots() === 'none') pacer.turnAway();
    if (slots() === given) return;
    given = slots();
    deps.throttle(given);
  };

  const shut = async (trouble: Trouble, pass: Pass): Promise<void> => {
    streak.end();
    const isOpen = shared.state().closed === undefined;
    if (isOpen && trouble.limitedAt === undefined && own.isDoubtful()) return own.avoid(trouble);
    const by = pass === 'probe' ? id : undefined;
    const before = await shared.change((s, at) => close(s, trouble, { by, now: at, ...pauses }));
    const { closed } = shared.state();
    if (before === undefined || closed === undefined) return;
    if (before.closed === undefined) own.saidSo();
    failedLast = true;
    const { since, until, probe, ...rest } = closed;
    const pauseMs = Math.max(0, Math.round(until - shared.storeNow()));
    const { limitedAt } = trouble;
    const fields = {
      ...{ ...rest, since: new Date(since).toISOString(), pauseMs },
      ...(limitedAt === undefined ? {} : { limitedAt }),
    };
    if (before.closed === undefined) return logger.warn(fields, 'lane.closed');
    logger.info(fields, pass === 'probe' ? 'lane.probed' : 'lane.stayedClosed');
  };

  const slowDown = async (limitedAt: number): Promise<void> => {
    const before = await shared.change((s, at) => slow(s, limitedAt, at));
    const perSecond = Math.round(paceOf(shared.state(), shared.storeNow()) ?? 0);
    if (before !== undefined) logger.info({ limitedAt, perSecond }, 'lane.slowed');
  };

  const clear = async (pass: Pass): Promise<void> => {
    streak.end();
    failedLast = false;
    own.cleared();
    if (pass === 'open') return;
    const before = await shared.change((s, at) => open(s, id, at));
    if (before?.closed === undefined) return;
    const { since, code, pauses: number } = before.closed;
    const closedForMs = Math.round(shared.storeNow() - since);
    logger.info({ code, closedForMs, pauses: number }, 'lane.opened');
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
        const mayGoOn = report.trouble.retryAfterMs === undefined && !goesOn && !isProbing(pass);
        return mayGoOn ? slowDown(limitedAt) : shut({ ...report.trouble, limitedAt }, pass);
      }
      case 'trouble': {
        const goesOn = streak.add(signalIds) || own.isTried();
        if (report.certain || goesOn || isProbing(pass)) return shut(report.trouble, pass);
      }
    }
  };

  const stayInformed = async (abort: AbortSignal | undefined): Promise<void> => {
    if (!shared.isFresh(FRESH_MS)) await unlessAborted(shared.look(), abort);
  };

  const isFree = (pass: Pass): boolean => (pass === 'open' ? isOpen() : isProbing(pass));

  /** One that was taken over by another says no more than everybody. */
  const isProbing = (pass: Pass): boolean => pass === 'probe' && shared.probe() === 'under way';

  const isOpen = (): boolean => shared.state().closed === undefined && !own.isAvoided();

  return {
    /**
     * Asked before a signal is sent. `undefined`: it may not be now, and the worker takes no more.
     * Whoever is let in as a probe has to `leave`.
     */
    admit: async (abort?: AbortSignal): Promise<Pass | undefined> => {
      await stayInformed(abort);
      if (abort?.aborted) return undefined;
      if (isOpen()) return 'open';
      return shared.beginProbe() ? 'probe' : undefined;
    },

    /** Asked before each request; waits for its turn where the rate is limited. */
    enter: async (pass: Pass, abort: AbortSignal | undefined): Promise<boolean> => {
      await stayInformed(abort);
      if (pace() !== undefined && isFree(pass)) {
        if (!(await pacer.turn(abort))) return false;
        await stayInformed(abort);
      }
      const may = isFree(pass);
      if (may) rate.note();
      return may;
    },

    /**
     * Told after each request, and of requests for a partner token that failed. Resolves with whether
     * the lane is closed then. Never rejects: what a signal was answered counts, whether or not the
     * others can be told of it.
     */
    report: async (
      report: RoadReport,
      signalIds: readonly string[],
      pass: Pass,
    ): Promise<boolean> => {
      await hear(report, signalIds, pass).catch((err: Error) =>
        logger.warn({ reason: err.message }, 'Lane not told'),
      );
      return !isOpen();
    },

    /** The probing signal has come to an end, whatever end it was: another may be next. */
    leave: (pass: Pass): void => {
      if (pass === 'probe') shared.endProbe();
    },

    /** Whether this worker waits for its turn, or stays away: then it is no wonder that nothing moves. */
    isHeldBack: (): boolean => own.isAvoided() || pacer.isWaitedFor(),

    stop: async (): Promise<void> => {
      own.stop();
      await shared.stop();
    },
  };
};

export type Lane = ReturnType<typeof createLane>;
