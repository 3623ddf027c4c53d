import { type Backend, SIGNALS } from '../queue/backend.ts';
import { queueTimedOut, withDeadline } from '../runtime/async.ts';
import { SignalJobSchema } from '../schemas/signalJob.ts';

const POLL_INTERVAL_MS = 5_000;
const POLL_TIMEOUT_MS = 2_000;

type Deps = {
  /** Whether this worker should be processing something. Rejects if the queue is unavailable. */
  hasDueWork: () => Promise<boolean>;
  /** When the worker's loop last did anything. */
  lastActivityAt: () => number;
  /** How long work may be due without activity before the worker counts as stalled. */
  maxIdleMs: number;
  now?: () => number;
};

/**
 * Distinguishes a stalled worker from one that has nothing to do: work is due, but the worker's loop
 * shows no activity. Suspended delivery, a paused queue and an unavailable queue stop every worker, so
 * they do not count.
 */
export const createStallDetector = ({ now = () => performance.now(), ...deps }: Deps) => {
  let dueSince: number | undefined;

  const poll = async (): Promise<void> => {
    const due = await withDeadline(deps.hasDueWork(), POLL_TIMEOUT_MS, queueTimedOut).catch(
      () => false,
    );
    dueSince = due ? (dueSince ?? now()) : undefined;
  };
  const timer = setInterval(() => void poll(), POLL_INTERVAL_MS);
  timer.unref();

  return {
    isAlive: (): boolean =>
      dueSince === undefined || now() - Math.max(dueSince, deps.lastActivityAt()) < deps.maxIdleMs,
    stop: (): void => clearInterval(timer),
  };
};

/**
 * Whether any healthy worker would take a signal now. Rejects if the queue does not answer. While
 * delivery is suspended, work is due only `maxIdleMs` after the time of the next probe: by then a
 * healthy worker would have sent it.
 */
export const hasDueWork = async (
  backend: Backend,
  maxIdleMs: number,
  now: () => number = Date.now,
): Promise<boolean> => {
  await backend.ping();
  const queue = await backend.queue(SIGNALS);
  const breaker = await backend.breaker.read();
  const { open: suspension } = breaker.state;
  if (suspension !== undefined && breaker.now < suspension.until + maxIdleMs) return false;
  if (await queue.isPaused()) return false;
  const { waiting = 0, prioritized = 0 } = await queue.getJobCounts('waiting', 'prioritized');
  if (waiting + prioritized > 0) return true;
  const [next] = await queue.getJobs(['delayed'], 0, 0, true);
  const dueAt = SignalJobSchema.safeParse(next?.data).data?.nextAttemptAt;
  return dueAt !== undefined && Date.parse(dueAt) <= now();
};
