import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { createRedisTokens } from '../../../src/queue/redis/tokenStore.ts';
import { createTokenCipher } from '../../../src/runtime/tokenCipher.ts';
import { createSeekTokens } from '../../../src/seekTokens/registry.ts';
import { type RedisServer, startRedis } from '../../support/redisServer.ts';

const DAY_MS = 86_400_000;
// A Redis pattern would interpret these characters.
const PREFIX = '{se[e]k}*?\\';

let redis: RedisServer;
let client: Redis;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

describe('seek tokens in Redis', () => {
  const store = () => createRedisTokens(client, PREFIX);
  const under = (...keys: Buffer[]) =>
    createSeekTokens({ store: store(), cipher: createTokenCipher(keys), ttlDays: 10 });

  it('encrypted with a new key → their expiry does not change', async () => {
    const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
    const receivedAt = new Date().toISOString();
    await under(oldKey).record('a', { token: 't', source: 'linkOut', receivedAt });
    const key = `${PREFIX}:tokens:of:a`;
    const until = Date.now() + DAY_MS;
    await client.pexpireat(key, until);

    expect(await under(newKey, oldKey).reencrypt('a')).toMatchObject({ reencrypted: 1 });

    expect(await client.pexpiretime(key)).toBe(until);
    expect(await under(newKey).lookup('a')).toMatchObject({
      token: { kind: 'decrypted', token: 't' },
    });
  });

  it('stored under several prefixes and ids → applications() lists those of its prefix only', async () => {
    const receivedAt = new Date().toISOString();
    const ids = ['b', 'c:d', 'é*'];
    for (const id of ids) {
      await under().record(id, { token: id, source: 'linkOut', receivedAt });
    }
    await createSeekTokens({
      store: createRedisTokens(client, '{seek}xyz'),
      cipher: createTokenCipher([]),
      ttlDays: 10,
    }).record('stranger', { token: 't', source: 'linkOut', receivedAt });

    const listed: string[] = [];
    for await (const id of store().applications()) listed.push(id);

    expect(new Set(listed)).toEqual(new Set(['a', ...ids]));
  });
});
