/** Runs one piece of work after the other, in the order in which they came. */
export const createOneAtATime = () => {
  let last: Promise<unknown> = Promise.resolve();

  return <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
};
