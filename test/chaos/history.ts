/** One request as it came to SEEK, whatever it carried. */
export type Arrival = {
  at: number;
  requestId: string;
  /** The worker that sent it. */
  by: string;
  marks: string[];
  /** What SEEK made of it: `delivered`, an error code, or the name of a fault. */
  verdict: string;
  /** SEEK has taken the signals, whether or not its answer is heard. */
  took: boolean;
  /** The answer went out whole. */
  heard: boolean;
};

/** All that ever came to SEEK. */
export const createHistory = () => {
  const arrivals: Arrival[] = [];
  const byMark = new Map<string, Arrival[]>();
  const byRequest = new Map<string, Arrival>();

  const of = (mark: string): Arrival[] => byMark.get(mark) ?? [];
  const takings = (mark: string): number => of(mark).filter(({ took }) => took).length;

  return {
    arrivals,
    of,
    note: (arrival: Arrival): void => {
      arrivals.push(arrival);
      byRequest.set(arrival.requestId, arrival);
      for (const mark of arrival.marks) byMark.set(mark, [...of(mark), arrival]);
    },
    byRequest: (requestId: string): Arrival | undefined => byRequest.get(requestId),
    marks: (): string[] => [...byMark.keys()],
    took: (mark: string): boolean => takings(mark) > 0,
    /** How often signals were taken again that SEEK had taken already. */
    duplicates: (): { mark: string; times: number }[] =>
      [...byMark.keys()].flatMap((mark) => {
        const times = takings(mark) - 1;
        return times > 0 ? [{ mark, times }] : [];
      }),
    /** Signals that were taken though nobody heard of it: each explains a duplicate. */
    unheardTakings: (): number =>
      arrivals
        .filter(({ took, heard }) => took && !heard)
        .reduce((sum, { marks }) => sum + marks.length, 0),
    since: (at: number): Arrival[] => arrivals.filter((arrival) => arrival.at >= at),
  };
};

export type History = ReturnType<typeof createHistory>;
