/**
 * For what recurs and is to be told of once in `everyMs`: whether it is to be told now. By a clock that
 * is never set back, or nothing would be told for as long.
 */
export const createNowAndThen = (
  everyMs: number,
  now: () => number = () => performance.now(),
): (() => boolean) => {
  let quietUntil = Number.NEGATIVE_INFINITY;
  return () => {
    if (now() < quietUntil) return false;
    quietUntil = now() + everyMs;
    return true;
  };
};
