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
