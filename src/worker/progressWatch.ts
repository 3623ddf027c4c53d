import { queueIsSilent, withDeadline } from '../deadline.ts';

const LOOK_EVERY_MS = 5_000;
const ANSWER_WITHIN_MS = 2_000;

type Deps = {
  /** Whether there is something that this worker should be doing. Throws where the queue is away. */
  isWorkDue: () => Promise<boolean>;
  /** When its loop last did anything. */
  turnedAt: () => number;
  /** How long work may be due without a turn. */
  patienceMs: number;
  now?: () => number;
};

/**
 * Tells a worker that has gone deaf from one that has nothing to do: work is due, and its loop does
 * not turn. What keeps every worker from working (the lane closed, the queue paused, Redis away) does
 * not count against it.
 */
export const createProgressWatch = ({ now = () => performance.now(), ...deps }: Deps) => {
  let dueSince: number | undefined;

  const look = async (): Promise<void> => {
    const due = await withDeadline(deps.isWorkDue(), ANSWER_WITHIN_MS, queueIsSilent).catch(
      () => false,
    );
    dueSince = due ? (dueSince ?? now()) : undefined;
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  timer.unref();

  return {
    look,
    isAlive: (): boolean =>
      dueSince === undefined || now() - Math.max(dueSince, deps.turnedAt()) < deps.patienceMs,
    stop: (): void => clearInterval(timer),
  };
};
