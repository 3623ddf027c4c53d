import { orUnavailable } from '../available.ts';

const DEFAULT_TIMEOUT_MS = 5_000;

/** Wraps a call to the queue in `orUnavailable`. */
export const available =
  <Args extends unknown[], Result>(
    work: (...args: Args) => Promise<Result>,
    timeoutMs: number = DEFAULT_TIMEOUT_MS,
  ) =>
  (...args: Args): Promise<Result> =>
    orUnavailable(work(...args), timeoutMs);
