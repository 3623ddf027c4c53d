import {
  createProducer,
  InvalidIdentifierError,
  type Producer,
  QueueUnavailableError,
} from '../../src/index.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';
import { createTokenCipher } from '../../src/runtime/tokenCipher.ts';
import { createPositions } from '../../src/seekTokens/positions.ts';
import { createSeekTokens } from '../../src/seekTokens/registry.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';

const DAY_MS = 86_400_000;
const PROFILE_ID = 'seekAnz:candidateApplicationProfile:apply:1';

let redis: RedisServer;
let producer: Producer;
let reader: ReturnType<typeof openReader>;

/** Reads what is recorded, as a worker does. */
const openReader = (url: string) => {
  const backend = openRedis({
    url,
    prefix: '{seek}',
    profile: 'patient',
    logger: captureLogs().logger,
    dedupeWindowMs: DAY_MS,
    keepDeliveredMs: DAY_MS,
  });
  return {
    close: backend.close,
    positions: createPositions({ store: backend.positions }),
    seekTokens: createSeekTokens({
      store: backend.tokens,
      cipher: createTokenCipher([]),
      ttlDays: 180,
    }),
  };
};

beforeAll(async () => {
  redis = await startRedis();
  producer = createProducer({ redisUrl: redis.url });
  reader = openReader(redis.url);
});
afterAll(async () => {
  await reader.close();
  await producer.close();
  await redis.stop();
});

describe('identifiers in the library', () => {
  it('recordCandidateApplicationProfile → the worker finds it by applicationId', async () => {
    await producer.recordCandidateApplicationProfile({
      applicationId: '17',
      candidateApplicationProfileId: PROFILE_ID,
    });

    expect(await reader.seekTokens.lookup('17')).toEqual({
      candidateApplicationProfileId: PROFILE_ID,
      erased: false,
    });
  });

  it('recordPosition → the worker finds its profiles by positionId', async () => {
    await producer.recordPosition({ positionId: 'r-1', positionProfileIds: 'one' });
    await producer.recordPosition({ positionId: 'r-1', positionProfileIds: ['two', 'three'] });

    expect(await reader.positions.find('r-1')).toMatchObject({
      positionProfileIds: ['two', 'three'],
    });
  });

  it('recordMany → one result per recording, in order; repeated, it changes nothing', async () => {
    const recordings = [
      { applicationId: '18', token: 't-18', source: 'linkOut' as const },
      { applicationId: '', candidateApplicationProfileId: PROFILE_ID },
      { positionId: 'r-2', positionProfileIds: ['p'] },
      { applicationId: '19', token: 't-18', source: 'linkOut' as const },
      { applicationId: '18', candidateApplicationProfileId: PROFILE_ID },
    ];

    const results = await producer.recordMany(recordings);
    const lookup = await reader.seekTokens.lookup('18');
    await producer.recordMany(recordings);

    expect(results).toEqual([
      {},
      { invalidFields: { '/applicationId': expect.any(String) } },
      {},
      { warnings: [expect.stringMatching(/^\/token: .*another application.*18/)] },
      // 17 has the same profile id from a test before.
      { warnings: [expect.stringMatching(/^\/candidateApplicationProfileId: .*application.*17/)] },
    ]);
    expect(lookup).toMatchObject({
      token: { token: 't-18' },
      candidateApplicationProfileId: PROFILE_ID,
    });
    expect(await reader.seekTokens.lookup('18')).toEqual(lookup);
  });

  it('invalid input → InvalidIdentifierError with every problem', async () => {
    const invalid = { positionId: ' r', positionProfileIds: ['', 'ok', ' '] };

    const error = await producer.recordPosition(invalid).catch((err: unknown) => err);

    expect(error).toBeInstanceOf(InvalidIdentifierError);
    expect(error).toMatchObject({
      invalidFields: {
        '/positionId': expect.any(String),
        '/positionProfileIds/0': expect.any(String),
        '/positionProfileIds/2': expect.any(String),
      },
    });
  });

  it('Redis does not answer → QueueUnavailableError', async () => {
    const unreachable = createProducer({ redisUrl: 'redis://127.0.0.1:1' });

    const recording = unreachable.recordPosition({ positionId: 'r', positionProfileIds: 'p' });

    await expect(recording).rejects.toBeInstanceOf(QueueUnavailableError);
    const many = unreachable.recordMany([{ positionId: 'r', positionProfileIds: 'p' }]);
    await expect(many).rejects.toBeInstanceOf(QueueUnavailableError);
    await unreachable.close();
  });
});
