import type { Logger } from '../../observability/logger.ts';
import type { BreakerStore } from '../../queue/breakerState.ts';
import { abortable } from '../../runtime/async.ts';
import { createConsecutiveFailures, createRecentRate } from './failureTracking.ts';
import { createLocalBreaker } from './localBreaker.ts';
import { createRateLimiter, paceOf, slow } from './rateLimiter.ts';
import { createSharedState } from './sharedState.ts';
import { close, type Failure, open } from './transitions.ts';

// While signals are under way: a worker that has none need not know.
const FRESH_MS = 500;
// Who failed last lets the others try first, and all the more who doubts its own way to SEEK.
const RELUCTANCE_MS = 400;
const DOUBTFUL_MS = 5_000;

/** What a request says about the road to SEEK, whatever it says about its signals. */
export type HealthReport =
  | { kind: 'healthy' }
  /** `certain`: nothing was sent, so that no signal can be at fault. */
  | { kind: 'failing'; certain: boolean; failure: Failure }
  | { kind: 'rateLimited'; failure: Failure };

/** Leave to make requests: as everybody, or as the one who tries while the lane is closed. */
export type Permit = 'normal' | 'probe';

type Deps = {
  store: BreakerStore;
  /** Who we are among the workers. */
  id: string;
  /** How many signals this worker may take at a time: none, one to try with, or as many as it likes. */
  setConcurrency: (slots: 'none' | 'one' | 'all') => void;
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
export const createCircuitBreaker = ({ now = monotonic, random = Math.random, ...deps }: Deps) => {
  const { store, id, logger } = deps;
  const pauses = { maxMs: deps.pauseMaxMs, random };
  const streak = createConsecutiveFailures();
  const rate = createRecentRate(now);
  const own = createLocalBreaker({ pauses, onTurn: () => allot(), logger });
  let given: 'none' | 'one' | 'all' = 'all';
  let failedLast = false;

  const shared = createSharedState({
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
  const rateLimiter = createRateLimiter({ reserveSlot: store.reserveSlot, perSecond: pace });

  const slots = (): 'none' | 'one' | 'all' => {
    if (shared.state().closed !== undefined) return shared.probe() === 'no' ? 'none' : 'one';
    return own.slots();
  };

  const allot = (): void => {
    if (slots() === 'none') rateLimiter.turnAway();
    if (slots() === given) return;
    given = slots();
    deps.setConcurrency(given);
  };

  const shut = async (failure: Failure, permit: Permit): Promise<void> => {
    streak.end();
    const isOpen = shared.state().closed === undefined;
    if (isOpen && failure.limitedAt === undefined && own.isDoubtful()) return own.avoid(failure);
    const by = permit === 'probe' ? id : undefined;
    const before = await shared.change((s, at) => close(s, failure, { by, now: at, ...pauses }));
    const { closed } = shared.state();
    if (before === undefined || closed === undefined) return;
    if (before.closed === undefined) own.saidSo();
    failedLast = true;
    const { since, until, probe, ...rest } = closed;
    const pauseMs = Math.max(0, Math.round(until - shared.storeNow()));
    const { limitedAt } = failure;
    const fields = {
      ...{ ...rest, since: new Date(since).toISOString(), pauseMs },
      ...(limitedAt === undefined ? {} : { limitedAt }),
    };
    if (before.closed === undefined) return logger.warn(fields, 'delivery.suspended');
    logger.info(fields, permit === 'probe' ? 'delivery.probed' : 'delivery.stillSuspended');
  };

  const slowDown = async (limitedAt: number): Promise<void> => {
    const before = await shared.change((s, at) => slow(s, limitedAt, at));
    const perSecond = Math.round(paceOf(shared.state(), shared.storeNow()) ?? 0);
    if (before !== undefined) logger.info({ limitedAt, perSecond }, 'delivery.throttled');
  };

  const clear = async (permit: Permit): Promise<void> => {
    streak.end();
    failedLast = false;
    own.cleared();
    if (permit === 'normal') return;
    const before = await shared.change((s, at) => open(s, id, at));
    if (before?.closed === undefined) return;
    const { since, code, pauses: number } = before.closed;
    const closedForMs = Math.round(shared.storeNow() - since);
    logger.info({ code, closedForMs, pauses: number }, 'delivery.resumed');
  };

  const hear = async (
    report: HealthReport,
    signalIds: readonly string[],
    permit: Permit,
  ): Promise<void> => {
    switch (report.kind) {
      case 'healthy':
        return clear(permit);
      case 'rateLimited': {
        const limitedAt = rate.perSecond();
        const goesOn = streak.add(signalIds);
        const mayGoOn = report.failure.retryAfterMs === undefined && !goesOn && !isProbing(permit);
        return mayGoOn ? slowDown(limitedAt) : shut({ ...report.failure, limitedAt }, permit);
      }
      case 'failing': {
        const goesOn = streak.add(signalIds) || own.isTried();
        if (report.certain || goesOn || isProbing(permit)) return shut(report.failure, permit);
      }
    }
  };

  const stayInformed = async (abort: AbortSignal | undefined): Promise<void> => {
    if (!shared.isFresh(FRESH_MS)) await abortable(shared.look(), abort);
  };

  const isFree = (permit: Permit): boolean => (permit === 'normal' ? isOpen() : isProbing(permit));

  /** One that was taken over by another says no more than everybody. */
  const isProbing = (permit: Permit): boolean =>
    permit === 'probe' && shared.probe() === 'under way';

  const isOpen = (): boolean => shared.state().closed === undefined && !own.isAvoided();

  return {
    /**
     * Asked before a signal is sent. `undefined`: it may not be now, and the worker takes no more.
     * Whoever is let in as a probe has to `release`.
     */
    acquire: async (abort?: AbortSignal): Promise<Permit | undefined> => {
      await stayInformed(abort);
      if (abort?.aborted) return undefined;
      if (isOpen()) return 'normal';
      return shared.beginProbe() ? 'probe' : undefined;
    },

    /** Asked before each request; waits for its turn where the rate is limited. */
    awaitSlot: async (permit: Permit, abort: AbortSignal | undefined): Promise<boolean> => {
      await stayInformed(abort);
      if (pace() !== undefined && isFree(permit)) {
        if (!(await rateLimiter.turn(abort))) return false;
        await stayInformed(abort);
      }
      const may = isFree(permit);
      if (may) rate.note();
      return may;
    },

    /**
     * Told after each request, and of requests for a partner token that failed. Resolves with whether
     * the lane is closed then. Never rejects: what a signal was answered counts, whether or not the
     * others can be told of it.
     */
    report: async (
      report: HealthReport,
      signalIds: readonly string[],
      permit: Permit,
    ): Promise<boolean> => {
      await hear(report, signalIds, permit).catch((err: Error) =>
        logger.warn({ reason: err.message }, 'Lane not told'),
      );
      return !isOpen();
    },

    /** The probing signal has come to an end, whatever end it was: another may be next. */
    release: (permit: Permit): void => {
      if (permit === 'probe') shared.endProbe();
    },

    /** Whether this worker waits for its turn, or stays away: then it is no wonder that nothing moves. */
    isHeldBack: (): boolean => own.isAvoided() || rateLimiter.isWaitedFor(),

    stop: async (): Promise<void> => {
      own.stop();
      await shared.stop();
    },
  };
};

export type CircuitBreaker = ReturnType<typeof createCircuitBreaker>;
