/** Counts how often something happened in the last full second, or in this one if that was more. */
export const createRecentRate = (now: () => number) => {
  let second = 0;
  let count = 0;
  let before = 0;

  const turn = (): void => {
    const current = Math.floor(now() / 1000);
    if (current === second) return;
    before = current === second + 1 ? count : 0;
    second = current;
    count = 0;
  };

  return {
    note: (): void => {
      turn();
      count += 1;
    },
    perSecond: (): number => {
      turn();
      return Math.max(count, before);
    },
  };
};
