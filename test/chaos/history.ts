/** One request that arrived at SEEK. */
export type Arrival = {
  at: number;
  requestId: string;
  /** The name of the worker that sent it. */
  worker: string;
  /** The marks of the signals in it. */
  marks: string[];
  /** SEEK's reply: `delivered`, an error code, or the name of a fault. */
  reply: string;
  /** SEEK processed the signals, whether or not its reply arrived. */
  processed: boolean;
  /** SEEK sent the whole reply. */
  answered: boolean;
};

/** Records every request that arrives at SEEK. */
export const createHistory = () => {
  const arrivals: Arrival[] = [];
  const byMark = new Map<string, Arrival[]>();
  const byRequest = new Map<string, Arrival>();

  const of = (mark: string): Arrival[] => byMark.get(mark) ?? [];
  const timesProcessed = (mark: string): number =>
    of(mark).filter(({ processed }) => processed).length;

  return {
    arrivals,
    of,
    record: (arrival: Arrival): void => {
      arrivals.push(arrival);
      byRequest.set(arrival.requestId, arrival);
      for (const mark of arrival.marks) byMark.set(mark, [...of(mark), arrival]);
    },
    byRequest: (requestId: string): Arrival | undefined => byRequest.get(requestId),
    marks: (): string[] => [...byMark.keys()],
    isProcessed: (mark: string): boolean => timesProcessed(mark) > 0,
    /** For each signal that SEEK processed more than once: how many times too often. */
    duplicates: (): { mark: string; times: number }[] =>
      [...byMark.keys()].flatMap((mark) => {
        const times = timesProcessed(mark) - 1;
        return times > 0 ? [{ mark, times }] : [];
      }),
    /** How many signals SEEK processed without a complete reply. Each explains one duplicate. */
    countUnanswered: (): number =>
      arrivals
        .filter(({ processed, answered }) => processed && !answered)
        .reduce((sum, { marks }) => sum + marks.length, 0),
    since: (at: number): Arrival[] => arrivals.filter((arrival) => arrival.at >= at),
  };
};

export type History = ReturnType<typeof createHistory>;
