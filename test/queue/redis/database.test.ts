import { Redis } from 'ioredis';

import { createProducer, QueueUnavailableError } from '../../../src/index.ts';
import { connectRedis } from '../../../src/queue/redis/connection.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import { type RedisServer, startRedis } from '../../support/redisServer.ts';
import { waitFor } from '../../support/waitFor.ts';

const SIGNAL = {
  typeCode: 'ApplicationComplete',
  token: 'seek-token-1',
  timestamp: '2026-01-01T00:00:00Z',
} as const;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis(undefined, ['--databases', '4']);
});
afterAll(() => redis.stop());

const keysIn = async (database: number): Promise<number> => {
  const client = new Redis(redis.url, { db: database });
  try {
    return await client.dbsize();
  } finally {
    client.disconnect();
  }
};

describe('a database that Redis does not have', () => {
  it.each(['fail-fast', 'patient'] as const)(
    'connection profile %s → is never ready, and the reason is logged',
    async (profile) => {
      const { logger, text } = captureLogs();
      const client = connectRedis(`${redis.url}/4`, profile, logger);
      let ready = false;
      client.on('ready', () => {
        ready = true;
      });

      await waitFor(() => text().includes('ERR DB index is out of range'));
      await waitFor(() => client.status === 'reconnecting');
      client.disconnect();

      expect(ready).toBe(false);
    },
  );

  it('enqueue → rejects, and writes nothing into database 0', async () => {
    const producer = createProducer({ redisUrl: `${redis.url}/4` });

    await expect(producer.enqueue(SIGNAL)).rejects.toThrow(QueueUnavailableError);
    await producer.close();

    expect(await keysIn(0)).toBe(0);
  });
});

it('a database that Redis has → holds the signal', async () => {
  const producer = createProducer({ redisUrl: `${redis.url}/3` });
  await producer.enqueue(SIGNAL);
  await producer.close();

  expect([await keysIn(0), await keysIn(3)]).toEqual([0, expect.any(Number)]);
  expect(await keysIn(3)).toBeGreaterThan(0);
});
