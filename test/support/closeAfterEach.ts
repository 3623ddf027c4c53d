/** Within a file or a `describe`: what was opened in a test is closed after it, the last one first. */
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
