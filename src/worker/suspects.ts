import { LOCK_LOST } from '../queue/backend.ts';
import { failureText, type SignalJob, STALLED } from '../schemas/signalJob.ts';
import type { Entry } from './exchange.ts';
import type { Dispatched } from './isolate.ts';
import { createOneAtATime } from './oneAtATime.ts';

// A worker that was lost with it twice may have died of it. From then on it is tried apart from all
// others, and when three more workers die at that, nothing else can be to blame.
const SUSPECT_AFTER = 2;
const GUILTY_AFTER = 3;

/** As much of BullMQ's job as matters here. */
type Lost = { stalledCounter: number };
type Job = { updateData: (data: SignalJob) => Promise<void> };

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

/**
 * Tries suspects one after the other. It is written down before, and struck out after: what still
 * stands there was the end of a worker.
 */
export const createTryApart = () => {
  const apart = createOneAtATime();

  return (
    job: Job,
    { diedAlone = 0, ...signalJob }: SignalJob,
    { abort }: Entry,
    attempt: () => Promise<Dispatched>,
  ): Promise<Dispatched> =>
    apart(async () => {
      if (abort?.aborted) return { kind: 'handedBack' };
      await job.updateData({ ...signalJob, diedAlone: diedAlone + 1 });
      const dispatched = await attempt();
      // After an attempt the outcome is written, and this with it.
      const unwritten = dispatched.kind !== 'attempted' && abort?.reason !== LOCK_LOST;
      if (unwritten) await job.updateData(signalJob);
      return dispatched;
    });
};
