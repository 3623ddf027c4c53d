import type { ExplainFailure } from '../../queue/failure.ts';
import { orUnavailable } from '../available.ts';

const DEFAULT_TIMEOUT_MS = 5_000;

/** Returns a function that wraps a call to the queue in `orUnavailable`. */
export const createAvailable =
  (explainFailure: ExplainFailure) =>
  <Args extends unknown[], Result>(
    work: (...args: Args) => Promise<Result>,
    timeoutMs: number = DEFAULT_TIMEOUT_MS,
  ) =>
  (...args: Args): Promise<Result> =>
    orUnavailable(work(...args), timeoutMs, explainFailure);

export type Available = ReturnType<typeof createAvailable>;
