/** Runs once for all who ask while it does: behind one that hangs nothing piles up. */
export const sharedRun = <T>(run: () => Promise<T>): (() => Promise<T>) => {
  let running: Promise<T> | undefined;
  return () => {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  };
};
