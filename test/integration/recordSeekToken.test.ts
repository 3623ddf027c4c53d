import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';

import {
  createProducer,
  InvalidSeekTokenError,
  type Producer,
  QueueUnavailableError,
  readSeekToken,
} from '../../src/index.ts';

import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { waitFor } from '../support/waitFor.ts';

let redis: RedisServer;
let producer: Producer;
let client: Redis;

const contents = async (): Promise<string> => {
  const keys = await client.keys('*');
  return (await Promise.all(keys.map((key) => client.dump(key)))).join();
};

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
  const tokenEncryptionKeys = [randomBytes(32).toString('base64')];
  producer = createProducer({ redisUrl: redis.url, tokenEncryptionKeys });
});
afterAll(async () => {
  client.disconnect();
  await producer.close();
  await redis.stop();
});

describe('seek tokens in the library', () => {
  it('recordSeekToken → records the token for signals that name the application', async () => {
    const seekToken = readSeekToken('/apply?seek-token=a-token+from%2Bseek');
    if (seekToken === undefined) throw new Error('no token');

    await expect(producer.recordSeekToken({ applicationId: '17', ...seekToken })).resolves.toEqual(
      {},
    );
    const receivedAt = new Date(Date.now() - 1_000);
    const again = await producer.recordSeekToken({ applicationId: '18', ...seekToken, receivedAt });
    const { state } = await producer.enqueue({
      typeCode: 'ApplicationComplete',
      applicationId: '17',
    });

    expect(again.warnings).toEqual([expect.stringMatching(/^\/token: .*another application.*17/)]);
    expect(state).toBe('waiting');
    expect(await contents()).not.toContain(seekToken.token);
  });

  it('eraseApplication → erases the queued signals of the application', async () => {
    await producer.recordSeekToken({ applicationId: '19', token: 't-19', source: 'applyWithSeek' });
    await producer.enqueue({ typeCode: 'ApplicationComplete', applicationId: '19' });
    await producer.enqueue({ typeCode: 'ApplicationComplete', token: 't-19' });

    await expect(producer.eraseApplication('19')).resolves.toBe(2);
    await expect(producer.eraseApplication('19')).resolves.toBe(0);
  });

  it.each([undefined, '', ' 17'])(
    'eraseApplication with the invalid id %j → rejects and erases nothing',
    async (id) => {
      const { signalId } = await producer.enqueue({
        typeCode: 'ApplicationComplete',
        token: `t-${id}`,
      });

      const erasing = Reflect.apply(producer.eraseApplication, undefined, [id]);

      await expect(erasing).rejects.toBeInstanceOf(InvalidSeekTokenError);
      expect(await client.exists(`{seek}:signals:${signalId}`)).toBe(1);
    },
  );

  it('recordSeekToken with invalid fields → rejects with every problem', async () => {
    const wrong = { applicationId: '', token: '\n', source: 'linkOut' as const };

    const err = await producer.recordSeekToken(wrong).catch((cause: unknown) => cause);

    expect(err).toBeInstanceOf(InvalidSeekTokenError);
    expect(Object.keys((err as InvalidSeekTokenError).invalidFields)).toEqual([
      '/applicationId',
      '/token',
    ]);
  });

  it('recordSeekToken while Redis hangs → rejects in time; works again once Redis answers', async () => {
    const recording = { applicationId: '20', token: 't-20', source: 'linkOut' as const };
    redis.freeze();

    await expect(producer.recordSeekToken(recording)).rejects.toThrow(QueueUnavailableError);
    redis.thaw();

    await waitFor(() =>
      producer.recordSeekToken(recording).then(
        () => true,
        () => false,
      ),
    );
    expect(await client.exists('{seek}:tokens:of:20')).toBe(1);
  });

  it('createProducer with an invalid encryption key → throws', () => {
    const options = { redisUrl: redis.url, tokenEncryptionKeys: ['short'] };

    expect(() => createProducer(options)).toThrow('tokenEncryptionKeys must be 32 bytes each');
  });
});
