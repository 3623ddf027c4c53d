import type { Logger } from '../../observability/logger.ts';
import type { BreakerStore } from '../../queue/breakerState.ts';
import { abortable } from '../../runtime/async.ts';
import { createRecentRate } from './failureTracking.ts';
import type { HealthReport } from './healthReport.ts';
import { type Concurrency, createLocalBreaker } from './localBreaker.ts';
import { createRateLimiter, currentRate } from './rateLimiter.ts';
import { createReportHandler } from './reportHandler.ts';
import { createSharedState } from './sharedState.ts';

// Applies before each request. A worker that sends nothing does not need to know the state.
const MAX_STATE_AGE_MS = 500;
// A worker that failed last leaves the probe to the others first. One that is likely at fault waits longer.
const PROBE_DELAY_MS = 400;
const AT_FAULT_PROBE_DELAY_MS = 5_000;

/** Allows requests: while the breaker is closed, or as the one probe while it is half-open. */
export type Permit = 'normal' | 'probe';

type Deps = {
  store: BreakerStore;
  /** Identifies this worker among all workers. */
  id: string;
  setConcurrency: (concurrency: Concurrency) => void;
  /** `RATE_LIMIT_PER_SECOND` */
  perSecond: number | undefined;
  /** `DELIVERY_SUSPEND_MAX_MS` */
  pauseMaxMs: number;
  logger: Logger;
  now?: () => number;
  random?: () => number;
};

// With the wall clock, a clock that is set back would make a stale state look fresh.
const monotonic = (): number => performance.now();

/**
 * The circuit breaker that all workers share. It opens for all of them when SEEK fails, for pauses that
 * grow. After each pause it is half-open: one worker sends one signal as a probe. The first success closes
 * it. If only one worker fails, that worker backs off alone.
 */
export const createCircuitBreaker = ({ now = monotonic, random = Math.random, ...deps }: Deps) => {
  const { store, id, logger } = deps;
  const pauses = { maxMs: deps.pauseMaxMs, random };
  const recentRate = createRecentRate(now);
  let concurrency: Concurrency = 'all';

  const local = createLocalBreaker({ pauses, onChange: () => updateConcurrency(), logger });
  const shared = createSharedState({
    store,
    id,
    logger,
    now,
    random,
    sentPerSecond: recentRate.perSecond,
    probeDelayMs: () => {
      if (local.isLikelyAtFault()) return AT_FAULT_PROBE_DELAY_MS;
      return handler.failedLast() ? PROBE_DELAY_MS : 0;
    },
    onChange: ({ hasClosed }) => {
      if (hasClosed) local.onSharedReset();
      updateConcurrency();
    },
  });
  const handler = createReportHandler({ id, shared, local, recentRate, pauses, logger });

  const perSecond = (): number | undefined => {
    const throttled = currentRate(shared.state(), shared.storeNow());
    const limits = [deps.perSecond, throttled].filter((limit) => limit !== undefined);
    return limits.length > 0 ? Math.min(...limits) : undefined;
  };
  const rateLimiter = createRateLimiter({ reserveSlot: store.reserveSlot, perSecond });

  const allowedConcurrency = (): Concurrency => {
    if (shared.state().open === undefined) return local.concurrency();
    return shared.hasProbe() ? 'one' : 'none';
  };

  const updateConcurrency = (): void => {
    const allowed = allowedConcurrency();
    if (allowed === 'none') rateLimiter.cancelWaiting();
    if (allowed === concurrency) return;
    concurrency = allowed;
    deps.setConcurrency(allowed);
  };

  const refreshIfStale = async (abort: AbortSignal | undefined): Promise<void> => {
    if (!shared.isFresh(MAX_STATE_AGE_MS)) await abortable(shared.refresh(), abort);
  };

  const isClosed = (): boolean => shared.state().open === undefined && !local.isOpen();

  /** A probe that another worker has taken over allows no more requests. */
  const isValid = (permit: Permit): boolean =>
    permit === 'normal' ? isClosed() : shared.isProbeInFlight();

  return {
    /**
     * Call before a signal is sent. `undefined`: the signal may not be sent now, and the worker takes no
     * more. After a `probe` permit the caller must call `release`.
     */
    acquire: async (abort?: AbortSignal): Promise<Permit | undefined> => {
      await refreshIfStale(abort);
      if (abort?.aborted) return undefined;
      if (isClosed()) return 'normal';
      return shared.beginProbe() ? 'probe' : undefined;
    },

    /** Call before each request. Waits for a slot of the rate limiter. `false`: do not send the request. */
    awaitSlot: async (permit: Permit, abort: AbortSignal | undefined): Promise<boolean> => {
      await refreshIfStale(abort);
      if (perSecond() !== undefined && isValid(permit)) {
        if (!(await rateLimiter.awaitSlot(abort))) return false;
        await refreshIfStale(abort);
      }
      const maySend = isValid(permit);
      if (maySend) recentRate.record();
      return maySend;
    },

    /**
     * Call after each request, and after a failed request for a partner token. Resolves with whether this
     * worker's delivery is suspended then. Never rejects: SEEK's answer about a signal counts even if the
     * shared state cannot be updated.
     */
    report: async (
      report: HealthReport,
      signalIds: readonly string[],
      permit: Permit,
    ): Promise<boolean> => {
      await handler
        .onReport(report, signalIds, permit)
        .catch((err: Error) =>
          logger.warn({ reason: err.message }, 'Failed to update circuit breaker'),
        );
      return !isClosed();
    },

    /** Call when the signal of a permit is done, with any outcome. The next signal may then probe. */
    release: (permit: Permit): void => {
      if (permit === 'probe') shared.endProbe();
    },

    /** Whether requests wait for a slot, or this worker has backed off: no progress is then expected. */
    isHeldBack: (): boolean => local.isOpen() || rateLimiter.hasWaiting(),

    stop: async (): Promise<void> => {
      local.stop();
      await shared.stop();
    },
  };
};

export type CircuitBreaker = ReturnType<typeof createCircuitBreaker>;
