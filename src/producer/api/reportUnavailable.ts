import { boundText } from '../../observability/boundValue.ts';
import { createThrottle, type Logger } from '../../observability/logger.ts';
import type { QueueUnavailableError } from '../errors.ts';

const LOG_INTERVAL_MS = 10_000;
const MAX_REASON = 1_000;
/** A client writes the path. */
export const MAX_LOGGED_PATH = 200;

/**
 * Logs that the queue is unavailable, at most once in ten seconds: while it is, every request is refused.
 * `requests` counts those since the last line.
 */
export const createReportUnavailable = (logger: Pick<Logger, 'warn'>, now?: () => number) => {
  const isLogDue = createThrottle(LOG_INTERVAL_MS, now);
  let requests = 0;
  return (
    { code, message }: Pick<QueueUnavailableError, 'code' | 'message'>,
    path: string,
  ): void => {
    requests += 1;
    if (!isLogDue()) return;
    logger.warn(
      {
        code,
        reason: boundText(message, MAX_REASON),
        requests,
        path: boundText(path, MAX_LOGGED_PATH),
      },
      'The queue is unavailable',
    );
    requests = 0;
  };
};
