type Waiting<Entry, Answer> = {
  entry: Entry;
  resolve: (answer: Answer) => void;
  reject: (err: unknown) => void;
};

/**
 * Answers together what is asked in the same turn of the loop, by whomever, up to `atOnce` at a time.
 * `answer` gives one for each, in order; if it rejects, all who were asked about hear of it.
 */
export const createGather = <Entry, Answer>(
  answer: (entries: Entry[]) => Promise<Answer[]>,
  atOnce: number,
) => {
  let gathered: Waiting<Entry, Answer>[] = [];

  const answerAll = async (some: Waiting<Entry, Answer>[]): Promise<void> => {
    try {
      const answers = await answer(some.map(({ entry }) => entry));
      for (const [index, { resolve, reject }] of some.entries()) {
        const own = answers[index];
        if (own === undefined) reject(new Error('Asked, but not answered'));
        else resolve(own);
      }
    } catch (err) {
      for (const { reject } of some) reject(err);
    }
  };

  const send = (): void => {
    const some = gathered;
    gathered = [];
    if (some.length > 0) void answerAll(some);
  };

  return (entry: Entry): Promise<Answer> =>
    new Promise((resolve, reject) => {
      if (gathered.length === 0) setImmediate(send);
      gathered.push({ entry, resolve, reject });
      // Redis can begin, while the rest of this turn is still to come.
      if (gathered.length === atOnce) send();
    });
};
