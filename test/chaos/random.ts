export type Random = {
  /** From 0 to below 1. */
  next: () => number;
  below: (limit: number) => number;
  /** Both bounds are included. */
  between: (min: number, max: number) => number;
  chance: (probability: number) => boolean;
  pick: <T>(from: readonly T[]) => T;
  /**
   * A separate stream of numbers, the same for the same labels. SEEK's reply to a request uses the
   * stream of its signal, so that the order in which requests arrive does not change the replies.
   */
  of: (...labels: (string | number)[]) => Random;
};

/** Random numbers that are the same for the same seed. */
export const createRandom = (seed: number, ...labels: (string | number)[]): Random => {
  let state = labels.reduce<number>((hash, label) => mix(hash, String(label)), seed >>> 0);
  // Mulberry32.
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);

  return {
    next,
    below,
    between: (min, max) => min + below(max - min + 1),
    chance: (probability) => next() < probability,
    pick: (from) => {
      const picked = from[below(from.length)];
      if (picked === undefined) throw new Error('Nothing to pick from');
      return picked;
    },
    of: (...more) => createRandom(seed, ...labels, ...more),
  };
};

// FNV-1a.
const mix = (hash: number, text: string): number => {
  let mixed = hash ^ 0x811c9dc5;
  for (const char of `${text}\n`) mixed = Math.imul(mixed ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return mixed >>> 0;
};
