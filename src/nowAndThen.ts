/** For what recurs and is to be told of once in `everyMs`: whether it is to be told now. */
export const createNowAndThen = (everyMs: number): (() => boolean) => {
  let quietUntil = 0;
  return () => {
    if (performance.now() < quietUntil) return false;
    quietUntil = performance.now() + everyMs;
    return true;
  };
};
