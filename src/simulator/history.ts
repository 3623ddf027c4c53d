export type History<T> = {
  add: (item: T) => void;
  /** What is still held, in order of arrival. */
  list: () => T[];
  /** How many were added since the last `clear`, forgotten ones included. */
  total: () => number;
  clear: () => void;
};

/** Holds the newest `keep` items, as a ring: adding stays cheap however many came before. */
export const createHistory = <T>(keep: number): History<T> => {
  let ring: T[] = [];
  let total = 0;

  return {
    add: (item) => {
      ring[total % keep] = item;
      total += 1;
    },

    list: () => {
      const oldest = total > keep ? total % keep : 0;

      return [...ring.slice(oldest), ...ring.slice(0, oldest)];
    },

    total: () => total,

    clear: () => {
      ring = [];
      total = 0;
    },
  };
};
