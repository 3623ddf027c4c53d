import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

type Values = (string | number)[];

/** Calls a script by its hash: Redis need not be sent its text, nor hash it, more than once. */
export const createScript = (client: Redis, text: string) => {
  const hash = createHash('sha1').update(text).digest('hex');
  return (keys: string[], values: Values): Promise<unknown> =>
    client.evalsha(hash, keys.length, ...keys, ...values).catch((err: Error) => {
      if (!err.message.startsWith('NOSCRIPT')) throw err;
      return client.eval(text, keys.length, ...keys, ...values);
    });
};

// Nobody else is served while a script runs.
const AT_ONCE = 100;

/** Has a script answer for many entries in few calls. It answers with a list, one item for each. */
export const inSlices = async <Entry>(
  entries: readonly Entry[],
  call: (slice: readonly Entry[]) => Promise<unknown>,
): Promise<unknown[]> => {
  const calls: Promise<unknown>[] = [];
  for (let at = 0; at < entries.length; at += AT_ONCE) {
    calls.push(call(entries.slice(at, at + AT_ONCE)));
  }
  return (await Promise.all(calls)).flatMap((answer) => (Array.isArray(answer) ? answer : []));
};
