/** What became of attempts: how many were `delivered`, or met with this code. */
export type Answers = Record<string, number>;

/** A worker process says that it is alive, and what it was answered since it said so before. */
export type Beat = { worker: string; answers: Answers };

/** Five minutes. The counts are the most that a worker saw in it. */
export type Moment = {
  /** Its beginning, in milliseconds. */
  at: number;
  waiting: number;
  retrying: number;
  dead: number;
  answers: Answers;
};

/** When a worker process was last heard of, in milliseconds; a worker that stops in order takes itself off. */
export type Heard = { worker: string; at: number };

/** How the queue stood in the last hours, as the workers saw it. Nothing in it is a promise. */
export type History = {
  beat: (beat: Beat) => Promise<void>;
  leave: (worker: string) => Promise<void>;
  /** Oldest first. In a moment that is not there, no worker was. `now`: by the clock of the queue. */
  read: (sinceMs: number) => Promise<{ moments: Moment[]; workers: Heard[]; now: number }>;
};

// Three heartbeats of a worker.
const ALIVE_MS = 45_000;

/** Whether a worker that was heard of then may be taken for alive. */
export const isAlive = ({ at }: Heard, now: number): boolean => at > now - ALIVE_MS;

export const MOMENT_MS = 300_000;
export const KEEP_MOMENTS_MS = 24 * 3_600_000;

/** How long one that is heard of no more stays listed, for people to see that it is gone. */
export const KEEP_SILENT_MS = 3_600_000;

/** The beginnings of the moments of the last `sinceMs` milliseconds, oldest first, with the present one. */
export const momentsSince = (sinceMs: number, now: number): number[] => {
  const last = momentOf(now);
  const count = Math.ceil(Math.min(sinceMs, KEEP_MOMENTS_MS) / MOMENT_MS);
  return Array.from({ length: count }, (_, index) => last - (count - 1 - index) * MOMENT_MS);
};

export const momentOf = (now: number): number => now - (now % MOMENT_MS);

/** What is stored of a moment: each count by its name, the answers behind `answer:`. */
export const toMoment = (at: number, stored: Record<string, string | number>): Moment => {
  const count = (name: string): number => Number(stored[name] ?? 0);
  const answers = Object.keys(stored).filter((name) => name.startsWith(ANSWER));
  return {
    ...{ at, waiting: count('waiting'), retrying: count('retrying'), dead: count('dead') },
    answers: Object.fromEntries(answers.map((name) => [name.slice(ANSWER.length), count(name)])),
  };
};

export const ANSWER = 'answer:';
