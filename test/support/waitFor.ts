import { setTimeout as delay } from 'node:timers/promises';

/** Calls `read` until it returns a truthy value, and resolves with it. Rejects after `timeoutMs`. */
export const waitFor = async <T>(
  read: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  { timeoutMs = 30_000, everyMs = 10, what = 'condition' } = {},
): Promise<T> => {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (value) return value;
    if (Date.now() > deadline)
      throw new Error(`Timed out after ${timeoutMs} ms; waited for: ${what}`);
    await delay(everyMs);
  }
};
