import { withDeadline } from '../runtime/async.ts';
import { QueueUnavailableError } from './errors.ts';

/** Rejects with `QueueUnavailableError` if the work on the queue fails or exceeds its time limit. */
export const orUnavailable = <Result>(work: Promise<Result>, timeoutMs: number): Promise<Result> =>
  withDeadline(
    work.catch((cause: unknown) => {
      throw new QueueUnavailableError({ cause });
    }),
    timeoutMs,
    () => new QueueUnavailableError(),
  );
