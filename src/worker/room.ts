type Guest = { alone: boolean; enter: () => void };

/**
 * Work that goes on side by side, and work that is to be alone: it waits for what is under way to end,
 * and what comes after it waits for it. In the order in which they came.
 */
export const createRoom = () => {
  const waiting: Guest[] = [];
  let inside = 0;
  let taken = false;

  const admit = (): void => {
    for (let [next] = waiting; next !== undefined && !taken; [next] = waiting) {
      if (next.alone && inside > 0) return;
      waiting.shift();
      inside += 1;
      taken = next.alone;
      next.enter();
    }
  };

  const within =
    (alone: boolean) =>
    async <T>(work: () => Promise<T>): Promise<T> => {
      if (alone || taken || waiting.length > 0) {
        await new Promise<void>((enter) => {
          waiting.push({ alone, enter });
          admit();
        });
      } else {
        inside += 1;
      }
      try {
        return await work();
      } finally {
        inside -= 1;
        taken = false;
        admit();
      }
    };

  return { together: within(false), alone: within(true) };
};

export type Room = ReturnType<typeof createRoom>;
