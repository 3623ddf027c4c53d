import { readdirSync, readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { defineScript } from '../../../src/queue/redis/commands.ts';
import { type RedisServer, startRedis } from '../../support/redisServer.ts';

const FOLDER = new URL('../../../src/queue/redis/lua/', import.meta.url);
const SCRIPTS = readdirSync(FOLDER);

let redis: RedisServer;
const clients: Redis[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
});
afterAll(async () => {
  await redis.stop();
});

const connect = (): Redis => {
  const client = new Redis(redis.url);
  clients.push(client);
  return client;
};

/** How many calls carried the text of a script, and how many its hash. */
const countCalls = async (client: Redis) => {
  const stats = await client.info('commandstats');
  const callsOf = (command: string) =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  return { texts: callsOf('eval'), hashes: callsOf('evalsha') };
};

describe('a Lua script', () => {
  it.each(SCRIPTS)(
    '%s → compiles, and its header describes keys, values and result',
    async (file) => {
      const text = readFileSync(new URL(file, FOLDER), 'utf8');

      expect(await connect().script('LOAD', text)).toMatch(/^[0-9a-f]{40}$/);
      expect(text).toMatch(/^-- /);
      const [header = ''] = text.split('\n\n');
      for (const part of ['\n-- KEYS: ', '\n-- ARGV: ', '\n-- Returns ']) {
        expect(header).toContain(part);
      }
    },
  );

  it('called with one or three keys → runs with as many', async () => {
    const client = connect();
    const release = defineScript(client, 'releaseTokenOwnership');
    await client.mset('a', 'app', 'b', 'other', 'c', 'other');

    expect(await release(['a'], ['app'])).toEqual([]);
    expect(await release(['a', 'b', 'c'], ['app'])).toEqual([2, 3]);
  });

  it('called several times → sent as text once, and by its hash after that', async () => {
    const client = connect();
    await client.config('RESETSTAT');
    const read = defineScript(client, 'readBreaker');

    await Promise.all([read(['x', 'y'], []), read(['x', 'y'], [])]);
    await read(['x', 'y'], []);

    expect(await countCalls(client)).toEqual({ texts: 1, hashes: 2 });
  });

  it('Redis has lost its script cache → the text is sent again, and the script runs', async () => {
    const client = connect();
    const replace = defineScript(client, 'replaceBreaker');
    expect(await replace(['breaker'], ['', '{"n":1}'])).toBe(1);
    await client.script('FLUSH');

    const results = await Promise.all([
      replace(['breaker'], ['{"n":1}', '{"n":2}']),
      replace(['breaker'], ['{"n":1}', '{"n":3}']),
    ]);

    expect(results).toEqual([1, 0]);
    expect(await client.get('breaker')).toBe('{"n":2}');
  });

  it('Redis answers with an error → rejects with it', async () => {
    const client = connect();
    await client.lpush('list', 'a');

    await expect(defineScript(client, 'readBreaker')(['list', 'rates'], [])).rejects.toThrow(
      'WRONGTYPE',
    );
  });

  it('defined by two callers → sent as text once', async () => {
    const client = connect();
    await client.config('RESETSTAT');

    await defineScript(client, 'readBreaker')(['x', 'y'], []);
    await defineScript(client, 'readBreaker')(['x', 'y'], []);

    expect(await countCalls(client)).toEqual({ texts: 1, hashes: 1 });
  });
});
