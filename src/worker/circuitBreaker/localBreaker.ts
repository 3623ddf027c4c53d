import type { Logger } from '../../observability/logger.ts';
import { type Pauses, pauseMs, type SeekFailure } from './transitions.ts';

/** How many signals a worker may take at a time: none, one for a probe, or as many as configured. */
export type Concurrency = 'none' | 'one' | 'all';

type Deps = {
  pauses: Pauses;
  /** Called when the local breaker opens, becomes half-open or closes. */
  onChange: () => void;
  logger: Pick<Logger, 'warn'>;
};

const CONCURRENCY = { closed: 'all', open: 'none', 'half-open': 'one' } as const;

/**
 * Suspends only this worker, if only this worker fails to reach SEEK. The shared breaker stays closed, so
 * the other workers go on.
 */
export const createLocalBreaker = ({ pauses, onChange, logger }: Deps) => {
  const falsePositives = createFalsePositives();
  let state: keyof typeof CONCURRENCY = 'closed';
  let timer: NodeJS.Timeout | undefined;

  return {
    concurrency: (): Concurrency => CONCURRENCY[state],
    isOpen: (): boolean => state === 'open',
    isHalfOpen: (): boolean => state === 'half-open',
    /** Whether a failure is more likely this worker's than SEEK's. */
    isLikelyAtFault: (): boolean => falsePositives.level() > 0,
    onSharedTrip: falsePositives.recordTrip,
    onSharedReset: falsePositives.recordReset,

    backOffLocally: ({ code, reason }: SeekFailure): void => {
      // The other requests that were in flight fail for the same reason.
      if (state === 'open') return;
      if (state === 'half-open') falsePositives.recordLocalFailure();
      state = 'open';
      const waitMs = pauseMs(falsePositives.level(), pauses);
      logger.warn({ code, reason, pauseMs: waitMs }, 'delivery.suspendedLocally');
      clearTimeout(timer);
      timer = setTimeout(() => {
        state = 'half-open';
        onChange();
      }, waitMs);
      onChange();
    },

    /** Closes the local breaker. Ignored while it is open: that request was sent before it opened. */
    onSuccess: (): void => {
      if (state === 'open') return;
      falsePositives.recordSuccess();
      state = 'closed';
      onChange();
    },

    stop: (): void => clearTimeout(timer),
  };
};

export type LocalBreaker = ReturnType<typeof createLocalBreaker>;

// One false positive may be an accident.
const MIN_FALSE_POSITIVES = 2;

/**
 * Counts how often this worker tripped the shared breaker although another worker's probe then succeeded.
 * If that recurs, this worker's own connection is at fault.
 */
export const createFalsePositives = () => {
  let count = 0;
  let trippedByUs = false;

  return {
    /** This worker tripped the shared breaker. */
    recordTrip: (): void => {
      trippedByUs = true;
    },
    /** The probe of another worker closed the shared breaker. */
    recordReset: (): void => {
      if (trippedByUs) count += 1;
      trippedByUs = false;
    },
    /** SEEK answered a request of this worker. */
    recordSuccess: (): void => {
      count = 0;
      trippedByUs = false;
    },
    /** This worker backed off, tried again and failed again. */
    recordLocalFailure: (): void => {
      count += 1;
    },
    /** 0: this worker is not at fault. From 1 on: the number of the next local pause. */
    level: (): number => Math.max(0, count - MIN_FALSE_POSITIVES + 1),
  };
};
