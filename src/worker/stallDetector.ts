import { type Backend, SIGNALS } from '../queue/backend.ts';
import { queueTimedOut, withDeadline } from '../runtime/async.ts';
import { SignalJobSchema } from '../schemas/signalJob.ts';

const LOOK_EVERY_MS = 5_000;
const ANSWER_WITHIN_MS = 2_000;

type Deps = {
  /** Whether there is something that this worker should be doing. Throws where the queue is away. */
  hasDueWork: () => Promise<boolean>;
  /** When its loop last did anything. */
  lastActivityAt: () => number;
  /** How long work may be due without a turn. */
  patienceMs: number;
  now?: () => number;
};

/**
 * Tells a worker that has gone deaf from one that has nothing to do: work is due, and its loop does
 * not turn. What keeps every worker from working (the lane closed, the queue paused, Redis away) does
 * not count against it.
 */
export const createStallDetector = ({ now = () => performance.now(), ...deps }: Deps) => {
  let dueSince: number | undefined;

  const look = async (): Promise<void> => {
    const due = await withDeadline(deps.hasDueWork(), ANSWER_WITHIN_MS, queueTimedOut).catch(
      () => false,
    );
    dueSince = due ? (dueSince ?? now()) : undefined;
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  timer.unref();

  return {
    look,
    isAlive: (): boolean =>
      dueSince === undefined || now() - Math.max(dueSince, deps.lastActivityAt()) < deps.patienceMs,
    stop: (): void => clearInterval(timer),
  };
};

/**
 * Whether any worker that is well would take a signal now. Rejects where the queue does not answer.
 * `patienceMs`: so long after a pause of the lane somebody must have tried, if anybody is well.
 */
export const hasDueWork = async (
  backend: Backend,
  patienceMs: number,
  now: () => number = Date.now,
): Promise<boolean> => {
  await backend.ping();
  const [queue, breaker] = [await backend.queue(SIGNALS), await backend.breaker.read()];
  const { open } = breaker.state;
  if (open !== undefined && breaker.now < open.until + patienceMs) return false;
  if (await queue.isPaused()) return false;
  const { waiting = 0, prioritized = 0 } = await queue.getJobCounts('waiting', 'prioritized');
  if (waiting + prioritized > 0) return true;
  const [next] = await queue.getJobs(['delayed'], 0, 0, true);
  const dueAt = SignalJobSchema.safeParse(next?.data).data?.nextAttemptAt;
  return dueAt !== undefined && Date.parse(dueAt) <= now();
};
