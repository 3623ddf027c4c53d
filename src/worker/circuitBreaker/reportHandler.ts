import type { Logger } from '../../observability/logger.ts';
import type { OpenBreaker } from '../../queue/breakerState.ts';
import type { Permit } from './circuitBreaker.ts';
import { createConsecutiveFailures, type RecentRate } from './failureTracking.ts';
import type { HealthReport } from './healthReport.ts';
import type { LocalBreaker } from './localBreaker.ts';
import { currentRate, throttleDown } from './rateLimiter.ts';
import type { SharedState } from './sharedState.ts';
import { type Pauses, reset, type SeekFailure, trip } from './transitions.ts';

type Deps = {
  /** Identifies this worker among all workers. */
  id: string;
  shared: Pick<SharedState, 'change' | 'isProbeInFlight' | 'state' | 'storeNow'>;
  local: Pick<
    LocalBreaker,
    'backOffLocally' | 'isHalfOpen' | 'isLikelyAtFault' | 'onSharedTrip' | 'onSuccess'
  >;
  /** Of the requests that this worker sends. */
  recentRate: Pick<RecentRate, 'perSecond'>;
  pauses: Pauses;
  logger: Pick<Logger, 'info' | 'warn'>;
};

/** Decides what each health report changes: the shared breaker, the rate, or this worker's local breaker. */
export const createReportHandler = ({ id, shared, local, recentRate, pauses, logger }: Deps) => {
  const failures = createConsecutiveFailures();
  let failedLast = false;

  const tripShared = async (failure: SeekFailure, permit: Permit): Promise<void> => {
    failures.reset();
    const isClosed = shared.state().open === undefined;
    if (isClosed && failure.limitedAt === undefined && local.isLikelyAtFault()) {
      return local.backOffLocally(failure);
    }
    const by = permit === 'probe' ? id : undefined;
    const before = await shared.change((state, now, perSecond) =>
      trip(state, withRateOfAll(failure, perSecond), { by, now, ...pauses }),
    );
    const { open } = shared.state();
    if (before === undefined || open === undefined) return;
    const hasOpened = before.open === undefined;
    if (hasOpened) local.onSharedTrip();
    failedLast = true;
    const fields = tripFields(open, failure, shared.storeNow());
    if (hasOpened) return logger.warn(fields, 'delivery.suspended');
    logger.info(fields, permit === 'probe' ? 'delivery.probed' : 'delivery.stillSuspended');
  };

  const throttleShared = async (ownRate: number): Promise<void> => {
    let limitedAt = ownRate;
    const before = await shared.change((state, now, rateOfAll) => {
      limitedAt = Math.max(ownRate, rateOfAll);
      return throttleDown(state, limitedAt, now);
    });
    if (before === undefined) return;
    const perSecond = Math.round(currentRate(shared.state(), shared.storeNow()) ?? 0);
    logger.info({ limitedAt, perSecond }, 'delivery.throttled');
  };

  const onHealthy = async (permit: Permit): Promise<void> => {
    failures.reset();
    failedLast = false;
    local.onSuccess();
    if (permit === 'normal') return;
    const before = await shared.change((state, now) => reset(state, id, now));
    if (before?.open === undefined) return;
    const { since, code, pauses: number } = before.open;
    const suspendedForMs = Math.round(shared.storeNow() - since);
    logger.info({ code, suspendedForMs, pauses: number }, 'delivery.resumed');
  };

  /** False if another worker has taken the probe since: the request then counts like any other. */
  const isProbing = (permit: Permit): boolean => permit === 'probe' && shared.isProbeInFlight();

  return {
    /** Whether the last request of this worker failed. */
    failedLast: (): boolean => failedLast,

    onReport: async (
      report: HealthReport,
      signalIds: readonly string[],
      permit: Permit,
    ): Promise<void> => {
      switch (report.kind) {
        case 'healthy':
          return onHealthy(permit);
        case 'rateLimited': {
          const limitedAt = recentRate.perSecond();
          const isEnough = failures.add(signalIds);
          const asksForPause = report.failure.retryAfterMs !== undefined;
          return asksForPause || isEnough || isProbing(permit)
            ? tripShared({ ...report.failure, limitedAt }, permit)
            : throttleShared(limitedAt);
        }
        case 'failing': {
          const isEnough = failures.add(signalIds) || local.isHalfOpen();
          if (report.certain || isEnough || isProbing(permit)) {
            return tripShared(report.failure, permit);
          }
        }
      }
    },
  };
};

/** The throttle bounds all workers, so it starts from what all of them sent. */
const withRateOfAll = (failure: SeekFailure, perSecond: number): SeekFailure =>
  failure.limitedAt === undefined
    ? failure
    : { ...failure, limitedAt: Math.max(failure.limitedAt, perSecond) };

const tripFields = (
  { since, until, code, reason, pauses }: OpenBreaker,
  { limitedAt }: SeekFailure,
  now: number,
) => ({
  code,
  reason,
  pauses,
  since: new Date(since).toISOString(),
  pauseMs: Math.max(0, Math.round(until - now)),
  ...(limitedAt === undefined ? {} : { limitedAt }),
});
