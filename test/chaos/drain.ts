import { setTimeout as delay } from 'node:timers/promises';

import type { Environment } from './environment.ts';

const POLL_INTERVAL_MS = 300;
// After so long without a request, killed workers hold the locks of all active jobs.
const IDLE_MS = 3_000;

export type PendingWork = {
  waiting: number;
  active: number;
  retrying: number;
  /** Failed jobs that the sweeper has not moved to the dead letters yet. */
  failed: number;
  /** Dead letters that a worker still has to fail or to redrive. */
  deadLetters: number;
};

/** Reads Redis directly: a failing API must not hide pending work. */
export const readPendingWork = async ({ client, key }: Environment): Promise<PendingWork> => {
  const [wait, paused, prioritized, active, delayed, failed, ...deadLetters] = await Promise.all([
    client.llen(key('signals', 'wait')),
    client.llen(key('signals', 'paused')),
    client.zcard(key('signals', 'prioritized')),
    client.llen(key('signals', 'active')),
    client.zcard(key('signals', 'delayed')),
    client.zcard(key('signals', 'failed')),
    client.llen(key('dead-letters', 'wait')),
    client.llen(key('dead-letters', 'active')),
    client.zcard(key('dead-letters', 'delayed')),
  ]);
  return {
    waiting: wait + paused + prioritized,
    active,
    retrying: delayed,
    failed,
    deadLetters: deadLetters.reduce((sum, count) => sum + count, 0),
  };
};

export const isDrained = (pending: PendingWork): boolean =>
  Object.values(pending).every((count) => count === 0);

/** Resolves when no work is pending, or after `timeoutMs`. */
export const drain = async (environment: Environment, timeoutMs: number): Promise<void> => {
  const { history, short } = environment;
  const deadline = Date.now() + timeoutMs;
  let wasDrained = false;

  // A failed job may also wait for a dead letter that a killed worker holds, so `failed` may be above 0.
  const onlyLocksPending = ({ waiting, active, retrying, deadLetters }: PendingWork): boolean =>
    waiting + retrying === 0 &&
    active + deadLetters > 0 &&
    Date.now() - (history.arrivals.at(-1)?.at ?? 0) > IDLE_MS;

  for (;;) {
    const pending = await readPendingWork(environment);
    // Twice in a row: a job that moves between two lists may be counted in neither.
    if (isDrained(pending) && wasDrained) return;
    wasDrained = isDrained(pending);
    if (Date.now() > deadline) return;
    // A short run does not wait for locks to expire: it expires them and starts new workers.
    if (short && onlyLocksPending(pending)) await replaceWorkers(environment);
    await delay(POLL_INTERVAL_MS);
  }
};

const replaceWorkers = async ({ workers, expireLocks }: Environment): Promise<void> => {
  const running = workers.running();
  for (const worker of running) await worker.end('SIGKILL');
  await expireLocks();
  await workers.start(Math.max(1, running.length));
};
