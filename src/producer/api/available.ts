import { withDeadline } from '../../runtime/async.ts';
import { QueueUnavailableError } from '../errors.ts';

const DEFAULT_TIMEOUT_MS = 5_000;

/**
 * Wraps a call to the queue: if it fails or exceeds its time limit, it rejects with
 * `QueueUnavailableError`.
 */
export const available =
  <Args extends unknown[], Result>(
    work: (...args: Args) => Promise<Result>,
    timeoutMs: number = DEFAULT_TIMEOUT_MS,
  ) =>
  (...args: Args): Promise<Result> => {
    const working = work(...args).catch((cause: unknown) => {
      throw new QueueUnavailableError({ cause });
    });
    return withDeadline(working, timeoutMs, () => new QueueUnavailableError());
  };
