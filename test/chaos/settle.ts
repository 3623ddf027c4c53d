import { setTimeout as delay } from 'node:timers/promises';

import type { Stage } from './environment.ts';

const LOOK_EVERY_MS = 300;
// So long without a request, and what is active is held by the dead.
const IDLE_MS = 3_000;

export type Unsettled = {
  waiting: number;
  active: number;
  retrying: number;
  /** Failed and not buried yet. */
  unburied: number;
  /** Dead letters that nobody has failed yet, or that are on their way back. */
  moving: number;
};

/** Straight from Redis: an API that is ill must not hide what is left to do. */
export const readUnsettled = async ({ client, key }: Stage): Promise<Unsettled> => {
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
    ...{ active, retrying: delayed, unburied: failed },
    moving: deadLetters.reduce((sum, count) => sum + count, 0),
  };
};

const isQuiet = (left: Unsettled): boolean => Object.values(left).every((count) => count === 0);

/** Resolves once there is nothing left to do, or after `limitMs` with what there is. */
export const settle = async (stage: Stage, limitMs: number): Promise<Unsettled> => {
  const { history, short } = stage;
  const deadline = Date.now() + limitMs;
  let quietBefore = false;

  /**
   * Whatever is active lies under locks of the dead, and only time is wanting. A burial may wait for
   * such a dead letter, too.
   */
  const onlyLocksLeft = ({ waiting, active, retrying, moving }: Unsettled): boolean =>
    waiting + retrying === 0 &&
    active + moving > 0 &&
    Date.now() - (history.arrivals.at(-1)?.at ?? 0) > IDLE_MS;

  for (;;) {
    const left = await readUnsettled(stage);
    if (isQuiet(left) && quietBefore) return left;
    quietBefore = isQuiet(left);
    if (Date.now() > deadline) return left;
    // A short run does not wait for locks: all workers die, time passes, and others take over.
    if (short && onlyLocksLeft(left)) await replaceAll(stage);
    await delay(LOOK_EVERY_MS);
  }
};

const replaceAll = async ({ crew, letTimePass }: Stage): Promise<void> => {
  const present = crew.present();
  for (const worker of present) await worker.end('SIGKILL');
  await letTimePass();
  await crew.hire(Math.max(1, present.length));
};
