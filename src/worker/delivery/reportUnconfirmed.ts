import { createThrottle, type Logger } from '../../observability/logger.ts';
import type { SeekAnswer } from '../../schemas/signalJob.ts';

const LOG_INTERVAL_MS = 10_000;

/** An answer without errors whose value is not `true`. */
export type UnconfirmedAnswer = {
  requestId: string;
  value: SeekAnswer;
  /** How many signals the request carried. */
  signals: number;
};

type Deps = {
  logger: Pick<Logger, 'warn'>;
  metrics: { unconfirmed: { inc: (signals: number) => void } };
  /** Monotonic, in milliseconds. */
  now?: () => number;
};

/**
 * Counts signals that SEEK took without errors but without `true`, and warns of them. SEEK could answer
 * every request like that, so the warning is throttled and the metric is complete.
 */
export const createReportUnconfirmed = ({ logger, metrics, now }: Deps) => {
  const isLogDue = createThrottle(LOG_INTERVAL_MS, now);
  return ({ requestId, value, signals }: UnconfirmedAnswer): void => {
    metrics.unconfirmed.inc(signals);
    if (isLogDue()) logger.warn({ requestId, value, signals }, 'signal.unconfirmed');
  };
};
