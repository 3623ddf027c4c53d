import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';

/** The files in `lua/`. The header of each describes its keys, its values and its result. */
export type ScriptName =
  | 'checkWrite'
  | 'enqueueIfAbsent'
  | 'indexRequests'
  | 'indexSignals'
  | 'readBreaker'
  | 'readHeartbeats'
  | 'readJobState'
  | 'recordHeartbeat'
  | 'releaseTokenOwnership'
  | 'removeFinishedJob'
  | 'removeWaitingJob'
  | 'reopenSignal'
  | 'replaceBreaker'
  | 'replaceJobData'
  | 'replaceTokens'
  | 'reserveSlot'
  | 'settleAndTake'
  | 'takeBack'
  | 'takeTokenOwnership'
  | 'writeJobData';

export type RunScript = (
  keys: readonly string[],
  values: readonly (string | number)[],
) => Promise<unknown>;

/**
 * Makes a script a command of the client, once, and returns a function that calls it. ioredis sends the
 * text once per connection, then its hash, and the text again if Redis has lost it. Inside `multi` ioredis
 * does not see that Redis has lost it, so scripts are called on their own.
 */
export const defineScript = (client: Redis, name: ScriptName): RunScript => {
  // The prefix sets it apart from the commands that BullMQ defines on the same client.
  const command = `seek:${name}`;
  if (!Reflect.has(client, command)) {
    client.defineCommand(command, { lua: readScript(name) });
  }
  // ioredis has no types for defined commands. The number of keys comes first, because it varies.
  return (keys, values) =>
    Reflect.apply(Reflect.get(client, command), client, [keys.length, ...keys, ...values]);
};

/** The build copies `lua/` to `dist`, so that it is beside this file there too. */
const readScript = (name: ScriptName): string =>
  readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');

/** The answers of a pipeline, in order; throws the first error among them. */
export const runPipeline = async (pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> =>
  ((await pipeline.exec()) ?? []).map(([err, value]) => {
    if (err) throw err;
    return value;
  });

const PAGE_SIZE = 1_000;

/**
 * Yields the rest of each key name after `start`, a page at a time. Finds every key that exists for the
 * whole scan, some of them more than once.
 */
export const scanNames = async function* (
  client: Redis,
  start: string,
  options: { type?: string } = {},
): AsyncGenerator<string[]> {
  const match = `${start.replace(/[[\]*?\\]/g, '\\$&')}*`;
  for await (const keys of client.scanStream({ match, count: PAGE_SIZE, ...options })) {
    yield keys.map((key: string) => key.slice(start.length));
  }
};
