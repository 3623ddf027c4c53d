/** For what waits for the queue. */
export const queueIsSilent = (): Error => new Error('The queue does not answer');

/** Rejects with what `onLate` makes if `work` has not settled within `ms`. The work itself goes on. */
export const withDeadline = async <T>(
  work: Promise<T>,
  ms: number,
  onLate: () => Error,
): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onLate()), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};
