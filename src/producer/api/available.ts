import { withDeadline } from '../../runtime/async.ts';
import { QueueUnavailableError } from '../errors.ts';

const DEADLINE_MS = 5_000;

/** Work on the queue that answers in time, or rejects with `QueueUnavailableError`. */
export const available =
  <Args extends unknown[], Result>(
    work: (...args: Args) => Promise<Result>,
    deadlineMs: number = DEADLINE_MS,
  ) =>
  (...args: Args): Promise<Result> => {
    const working = work(...args).catch((cause: unknown) => {
      throw new QueueUnavailableError({ cause });
    });
    return withDeadline(working, deadlineMs, () => new QueueUnavailableError());
  };
