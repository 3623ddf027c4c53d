import type { ExplainFailure } from '../queue/failure.ts';
import { withDeadline } from '../runtime/async.ts';
import { SignalsInFlightError } from '../seekTokens/eraseApplication.ts';
import { QueueUnavailableError } from './errors.ts';

/** Rejects with `QueueUnavailableError` if the work on the queue fails or exceeds its time limit. */
export const orUnavailable = <Result>(
  work: Promise<Result>,
  timeoutMs: number,
  explainFailure: ExplainFailure,
): Promise<Result> =>
  withDeadline(
    work.catch((err: unknown) => {
      throw toUnavailable(err, explainFailure);
    }),
    timeoutMs,
    () => new QueueUnavailableError(explainFailure()),
  );

const toUnavailable = (err: unknown, explainFailure: ExplainFailure): QueueUnavailableError => {
  if (err instanceof QueueUnavailableError) return err;
  if (!(err instanceof SignalsInFlightError)) return new QueueUnavailableError(explainFailure(err));
  return new QueueUnavailableError({
    code: 'SIGNALS_IN_FLIGHT',
    message: 'A worker is still sending signals of this application; try again',
    cause: err,
  });
};
