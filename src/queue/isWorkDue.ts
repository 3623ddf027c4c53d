import { SignalJobSchema } from '../schemas/signalJob.ts';
import { type Backend, SIGNALS } from './backend.ts';

/**
 * Whether any worker that is well would take a signal now. Rejects where the queue does not answer.
 * `patienceMs`: so long after a pause of the lane somebody must have tried, if anybody is well.
 */
export const isWorkDue = async (
  backend: Backend,
  patienceMs: number,
  now: () => number = Date.now,
): Promise<boolean> => {
  await backend.ping();
  const [queue, lane] = [await backend.queue(SIGNALS), await backend.lane.read()];
  const { closed } = lane.state;
  if (closed !== undefined && lane.now < closed.until + patienceMs) return false;
  if (await queue.isPaused()) return false;
  const { waiting = 0, prioritized = 0 } = await queue.getJobCounts('waiting', 'prioritized');
  if (waiting + prioritized > 0) return true;
  const [next] = await queue.getJobs(['delayed'], 0, 0, true);
  const dueAt = SignalJobSchema.safeParse(next?.data).data?.nextAttemptAt;
  return dueAt !== undefined && Date.parse(dueAt) <= now();
};
