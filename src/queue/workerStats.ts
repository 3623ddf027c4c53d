/** Numbers of attempts, by `delivered` or by the code that they ended with. */
export type OutcomeCounts = Record<string, number>;

/** A sign of life of a worker process, with the outcomes since its last heartbeat. */
export type Heartbeat = { worker: string; answers: OutcomeCounts };

/** Five minutes. `waiting`, `retrying` and `dead` are the maximum that a worker saw in them. */
export type StatsBucket = {
  /** The start of the bucket, in milliseconds. */
  at: number;
  waiting: number;
  retrying: number;
  dead: number;
  answers: OutcomeCounts;
};

/** A worker process and its last heartbeat, in milliseconds. */
export type SeenWorker = { worker: string; at: number };

/** Statistics of the last day, as the workers saw it. Best effort: nothing in it is a promise. */
export type WorkerStats = {
  /** Notes that the worker is alive, adds its outcomes to the current bucket and samples the queue sizes. */
  recordHeartbeat: (heartbeat: Heartbeat) => Promise<void>;
  /** Called by a worker that stops in order. A worker that crashes stays listed for an hour. */
  removeWorker: (worker: string) => Promise<void>;
  /**
   * The buckets of the last `sinceMs`, oldest first. A bucket is missing if no worker was alive. `now`
   * is the clock that `workers` are measured by.
   */
  read: (
    sinceMs: number,
  ) => Promise<{ buckets: StatsBucket[]; workers: SeenWorker[]; now: number }>;
};

// Three heartbeats of a worker.
const HEARTBEAT_TIMEOUT_MS = 45_000;

export const isAlive = ({ at }: SeenWorker, now: number): boolean =>
  at > now - HEARTBEAT_TIMEOUT_MS;

export const BUCKET_MS = 300_000;
export const KEEP_BUCKETS_MS = 24 * 3_600_000;

/** How long a worker without a heartbeat stays listed, so that operators see that it is gone. */
export const KEEP_MISSING_WORKERS_MS = 3_600_000;

/** The starts of the buckets of the last `sinceMs` milliseconds, oldest first, the current one included. */
export const bucketsSince = (sinceMs: number, now: number): number[] => {
  const last = bucketStart(now);
  const count = Math.ceil(Math.min(sinceMs, KEEP_BUCKETS_MS) / BUCKET_MS);
  return Array.from({ length: count }, (_, index) => last - (count - 1 - index) * BUCKET_MS);
};

export const bucketStart = (now: number): number => now - (now % BUCKET_MS);

/** Parses a stored bucket: counts by name, those of outcomes with `OUTCOME_PREFIX`. */
export const toBucket = (at: number, stored: Record<string, string | number>): StatsBucket => {
  const count = (name: string): number => Number(stored[name] ?? 0);
  const outcomes = Object.keys(stored).filter((name) => name.startsWith(OUTCOME_PREFIX));
  return {
    at,
    waiting: count('waiting'),
    retrying: count('retrying'),
    dead: count('dead'),
    answers: Object.fromEntries(
      outcomes.map((name) => [name.slice(OUTCOME_PREFIX.length), count(name)]),
    ),
  };
};

export const OUTCOME_PREFIX = 'answer:';
