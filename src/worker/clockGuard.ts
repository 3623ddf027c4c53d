import { createThrottle, type Logger } from '../observability/logger.ts';
import { MAX_CLOCK_DIFFERENCE_MS, type QueueClock } from '../queue/backend.ts';

const CHECK_INTERVAL_MS = 1_000;
const LOG_INTERVAL_MS = 60_000;

type Deps = {
  clock: Pick<QueueClock, 'read'>;
  /** Called when `isRight` has changed. */
  onChange: () => void;
  logger: Logger;
  now?: () => number;
  intervalMs?: number;
};

/**
 * Compares the clock of this worker with that of the queue. BullMQ stores the time of each retry by the
 * clock of the worker. One that is ahead would start all waiting retries at once, and use up the attempts
 * of each signal within minutes. One that is behind would delay its retries for as long as it is behind.
 */
export const createClockGuard = ({
  clock,
  onChange,
  logger,
  now = Date.now,
  intervalMs = CHECK_INTERVAL_MS,
}: Deps) => {
  // Unknown until the queue has answered once. Until then the worker takes no signals.
  let aheadMs: number | undefined;
  let isRight = false;
  const isLogDue = createThrottle(LOG_INTERVAL_MS);

  const update = (difference: number): void => {
    const wasWrong = aheadMs !== undefined && !isRight;
    const wasRight = isRight;
    aheadMs = difference;
    isRight = Math.abs(difference) <= MAX_CLOCK_DIFFERENCE_MS;
    if (!isRight && isLogDue()) {
      logger.error({ clockAheadMs: difference }, WRONG_CLOCK);
    }
    if (isRight && wasWrong) logger.info({ clockAheadMs: difference }, 'The clock is right again');
    if (isRight !== wasRight) onChange();
  };
  let checking = false;
  const check = async (): Promise<void> => {
    if (checking) return;
    checking = true;
    try {
      const queueTime = await clock.read();
      update(now() - queueTime);
    } catch {
      // The queue is unavailable. The worker takes no signals then, and the next check asks again.
    } finally {
      checking = false;
    }
  };
  const timer = setInterval(() => void check(), intervalMs);
  void check();

  return {
    isRight: (): boolean => isRight,
    /** Throws while the clock is wrong, for the readiness probe. */
    assertRight: (): void => {
      if (aheadMs !== undefined && !isRight) throw new Error(WRONG_CLOCK);
    },
    stop: (): void => clearInterval(timer),
  };
};

const WRONG_CLOCK =
  'The clock of this worker differs from that of Redis by more than a minute. It takes no signals until the clock is set';
