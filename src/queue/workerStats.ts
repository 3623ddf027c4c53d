/** What became of attempts: how many were `delivered`, or met with this code. */
export type OutcomeCounts = Record<string, number>;

/** A worker process says that it is alive, and what it was answered since it said so before. */
export type Heartbeat = { worker: string; answers: OutcomeCounts };

/** Five minutes. The counts are the most that a worker saw in it. */
export type StatsBucket = {
  /** Its beginning, in milliseconds. */
  at: number;
  waiting: number;
  retrying: number;
  dead: number;
  answers: OutcomeCounts;
};

/** When a worker process was last heard of, in milliseconds; a worker that stops in order takes itself off. */
export type SeenWorker = { worker: string; at: number };

/** How the queue stood in the last hours, as the workers saw it. Nothing in it is a promise. */
export type WorkerStats = {
  recordHeartbeat: (recordHeartbeat: Heartbeat) => Promise<void>;
  removeWorker: (worker: string) => Promise<void>;
  /** Oldest first. In a moment that is not there, no worker was. `now`: by the clock of the queue. */
  read: (
    sinceMs: number,
  ) => Promise<{ buckets: StatsBucket[]; workers: SeenWorker[]; now: number }>;
};

// Three heartbeats of a worker.
const ALIVE_MS = 45_000;

/** Whether a worker that was heard of then may be taken for alive. */
export const isAlive = ({ at }: SeenWorker, now: number): boolean => at > now - ALIVE_MS;

export const BUCKET_MS = 300_000;
export const KEEP_BUCKETS_MS = 24 * 3_600_000;

/** How long one that is heard of no more stays listed, for people to see that it is gone. */
export const KEEP_MISSING_WORKERS_MS = 3_600_000;

/** The beginnings of the moments of the last `sinceMs` milliseconds, oldest first, with the present one. */
export const bucketsSince = (sinceMs: number, now: number): number[] => {
  const last = bucketStart(now);
  const count = Math.ceil(Math.min(sinceMs, KEEP_BUCKETS_MS) / BUCKET_MS);
  return Array.from({ length: count }, (_, index) => last - (count - 1 - index) * BUCKET_MS);
};

export const bucketStart = (now: number): number => now - (now % BUCKET_MS);

/** What is stored of a moment: each count by its name, the answers behind `answer:`. */
export const toBucket = (at: number, stored: Record<string, string | number>): StatsBucket => {
  const count = (name: string): number => Number(stored[name] ?? 0);
  const answers = Object.keys(stored).filter((name) => name.startsWith(OUTCOME_PREFIX));
  return {
    ...{ at, waiting: count('waiting'), retrying: count('retrying'), dead: count('dead') },
    answers: Object.fromEntries(
      answers.map((name) => [name.slice(OUTCOME_PREFIX.length), count(name)]),
    ),
  };
};

export const OUTCOME_PREFIX = 'answer:';
