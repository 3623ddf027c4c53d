/** What the simulator needs of a logger. It is never given a token of either kind. */
export type Log = (fields: Record<string, unknown>, message: string) => void;
