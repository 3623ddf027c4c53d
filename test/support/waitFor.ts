import { setTimeout as delay } from 'node:timers/promises';

/** Resolves with the first truthy value of `read`; asks again until `timeoutMs` have passed. */
export const waitFor = async <T>(
  read: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  { timeoutMs = 30_000, everyMs = 10, what = 'condition' } = {},
): Promise<T> => {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain for: ${what}`);
    await delay(everyMs);
  }
};
