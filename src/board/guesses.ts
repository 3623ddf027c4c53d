// A person who mistypes comes nowhere near it; a program that guesses comes nowhere with it.
const MOST = 20;
const WITHIN_MS = 60_000;
// Whoever has so many addresses has others to spare: those of the last minute are not worth more memory.
const MOST_ADDRESSES = 10_000;

/** Counts wrong logins by address. An address with too many of them has to wait, right or wrong. */
export const createGuesses = (now: () => number = Date.now) => {
  let wrong = new Map<string, number[]>();

  const recent = (address: string): number[] =>
    (wrong.get(address) ?? []).filter((at) => at > now() - WITHIN_MS);

  return {
    /** For how many more seconds; `undefined`: it need not. */
    waitSeconds: (address: string): number | undefined => {
      const times = recent(address);
      const [first] = times.slice(-MOST);
      return times.length < MOST || first === undefined
        ? undefined
        : Math.max(1, Math.ceil((first + WITHIN_MS - now()) / 1_000));
    },
    note: (address: string): void => {
      if (wrong.size >= MOST_ADDRESSES) wrong = new Map();
      wrong.set(address, [...recent(address), now()]);
    },
  };
};
