import type { Redis } from 'ioredis';

const PAGE = 1_000;

/** The rest of each key's name that begins so, a page at a time: what is there all the while is found. */
export const scanNames = async function* (
  client: Redis,
  start: string,
  options: { type?: string } = {},
): AsyncGenerator<string[]> {
  const match = `${start.replace(/[[\]*?\\]/g, '\\$&')}*`;
  for await (const keys of client.scanStream({ match, count: PAGE, ...options })) {
    yield keys.map((key: string) => key.slice(start.length));
  }
};
