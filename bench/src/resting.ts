import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { fillNaive, fillOurs } from './fill.js';
import { startRedis, startSeek } from './processes.js';
import { ours } from './subjects.js';

const SIGNALS = 10_000;

/** Memory of Redis per waiting signal, in bytes. */
const bytesEach = async (
  fill: (redisUrl: string, count: number) => Promise<void>,
  settings?: readonly string[],
) => {
  const redis = await startRedis(settings);
  const used = async () =>
    Number(/used_memory:(\d+)/.exec(await redis.client.info('memory'))?.[1] ?? 0);
  await fill(redis.url, 1);
  const before = await used();
  await fill(redis.url, SIGNALS);
  const after = await used();
  await redis.stop();
  return (after - before) / SIGNALS;
};

const withIds = (redisUrl: string, count: number) => fillNaive(redisUrl, count, randomUUID);

/** Redis commands per minute that one idle worker causes. */
const idleCommands = async (): Promise<number> => {
  const [redis, seek] = await Promise.all([startRedis(), startSeek(0)]);
  const worker = ours('idle', 0, {}).run(redis, seek, []);
  const commands = async () =>
    Number(/total_commands_processed:(\d+)/.exec(await redis.client.info('stats'))?.[1] ?? 0);
  await delay(5_000);
  const before = await commands();
  await delay(30_000);
  const after = await commands();
  await worker.stop('SIGKILL');
  await Promise.all([seek.stop('SIGKILL'), redis.stop()]);
  // Without our own INFO command.
  return (after - before - 1) * 2;
};

export const measureResting = async () => {
  const waiting = { ours: await bytesEach(fillOurs), naive: await bytesEach(withIds, []) };
  return { bytesPerWaitingSignal: waiting, idleCommandsPerMinute: await idleCommands() };
};
