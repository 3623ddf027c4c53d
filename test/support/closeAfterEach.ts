/** Call in a file or a `describe`. Closes after each test what the test opened, in reverse order. */
export const closeAfterEach = () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  return {
    closing,
    opened: async <T extends { stop: () => Promise<unknown> }>(opening: Promise<T>): Promise<T> => {
      const subject = await opening;
      closing.push(subject.stop);
      return subject;
    },
  };
};
