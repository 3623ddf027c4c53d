import { LOCK_LOST } from '../queue/backend.ts';
import { failureText, type SignalJob, STALLED } from '../schemas/signalJob.ts';
import type { Dispatched } from './delivery/bisectBatch.ts';
import { QUEUE } from './delivery/sendAuthorised.ts';

// A worker that was lost with it twice may have died of it. From then on it is tried apart from all
// others, and when three more workers die at that, nothing else can be to blame.
const SUSPECT_AFTER = 2;
const GUILTY_AFTER = 3;

/** As much of BullMQ's job as matters here. */
type Lost = { stalledCounter: number };

/** Whether this signal may be what its workers died of. */
export const isSuspect = ({ stalledCounter }: Lost): boolean => stalledCounter >= SUSPECT_AFTER;

/** Why it is not tried again; `undefined`: it is. */
export const guiltOf = (
  { stalledCounter }: Lost,
  { diedAlone = 0 }: SignalJob,
): string | undefined =>
  diedAlone < GUILTY_AFTER
    ? undefined
    : failureText({
        code: STALLED,
        reason: `${stalledCounter} workers died while they had it in hand, the last ${diedAlone} of them while it was tried alone`,
      });

type Deps<Job> = {
  /** Where all signals in hand are tried. */
  room: Pick<Room, 'alone'>;
  /** Writes while the job is ours. */
  write: (job: Job, lock: string | undefined, data: SignalJob) => Promise<boolean>;
  replace: (job: Job, from: SignalJob, to: SignalJob) => Promise<boolean>;
};

type Suspect<Job> = {
  job: Job;
  lock: string | undefined;
  signalJob: SignalJob;
  entry: { abort?: AbortSignal | undefined };
};

/**
 * Tries a suspect while this worker tries nothing else. It is written down before, and struck out
 * after: what still stands there was the end of a worker.
 */
export const createTryApart =
  <Job>({ room, write, replace }: Deps<Job>) =>
  (
    { job, lock, signalJob: marked, entry: { abort } }: Suspect<Job>,
    attempt: () => Promise<Dispatched>,
  ): Promise<Dispatched> =>
    room.alone(async () => {
      const { diedAlone = 0, ...signalJob } = marked;
      const mark = { ...signalJob, diedAlone: diedAlone + 1 };
      if (abort?.aborted) return HANDED_BACK;
      // What can't be marked is not tried.
      const isMarked = await write(job, lock, mark).catch(() => undefined);
      if (isMarked === undefined) return UNMARKED;
      if (!isMarked) return HANDED_BACK;

      const dispatched = await attempt();
      const isOurs =
        abort?.reason !== LOCK_LOST && (await write(job, lock, signalJob).catch(() => true));
      // Who has lost the lock lives all the same, and says so unless the next worker has written since.
      if (!isOurs) await replace(job, mark, marked).catch(() => {});
      return dispatched;
    });

const HANDED_BACK: Dispatched = { kind: 'handedBack' };
const UNMARKED: Dispatched = {
  ...{ kind: 'deferred', code: QUEUE, reason: 'It cannot be noted that it is being tried' },
};

type Guest = { alone: boolean; enter: () => void };

/**
 * Work that goes on side by side, and work that is to be alone: it waits for what is under way to end,
 * and what comes after it waits for it. In the order in which they came.
 */
export const createRoom = () => {
  const waiting: Guest[] = [];
  let inside = 0;
  let taken = false;

  const admit = (): void => {
    for (let [next] = waiting; next !== undefined && !taken; [next] = waiting) {
      if (next.alone && inside > 0) return;
      waiting.shift();
      inside += 1;
      taken = next.alone;
      next.enter();
    }
  };

  const within =
    (alone: boolean) =>
    async <T>(work: () => Promise<T>): Promise<T> => {
      if (alone || taken || waiting.length > 0) {
        await new Promise<void>((enter) => {
          waiting.push({ alone, enter });
          admit();
        });
      } else {
        inside += 1;
      }
      try {
        return await work();
      } finally {
        inside -= 1;
        taken = false;
        admit();
      }
    };

  return { together: within(false), alone: within(true) };
};

export type Room = ReturnType<typeof createRoom>;
