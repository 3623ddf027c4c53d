import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { queueOptions } from '../../src/cli/processes/service.ts';
import { createProducer, type Producer } from '../../src/index.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import type { Platform } from '../support/platforms.ts';
import { freePort, startRedis } from '../support/redisServer.ts';
import { newToken, startDispatcher } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const PASSWORD = 'a-password-of-redis';

const { closing } = closeAfterEach();

const setup = async (args: readonly string[] = [], credentials = '') => {
  const redis = await startRedis(undefined, args);
  closing.push(redis.stop);
  const admin = new Redis(redis.url, { maxRetriesPerRequest: null });
  admin.on('error', () => {});
  closing.push(async () => admin.disconnect());
  const url = redis.url.replace('redis://', `redis://${credentials}`);
  let opened: Producer | undefined;
  /** Opened with the first call, so that a test can set up Redis before. */
  const producer = () => {
    if (opened === undefined) {
      opened = createProducer({ redisUrl: url });
      closing.push(opened.close);
    }
    return opened;
  };
  const enqueue = (token = newToken()) =>
    producer().enqueue({ typeCode: 'ApplicationComplete', token });
  return { admin, producer, enqueue, host: `127.0.0.1:${redis.port}` };
};

type Subject = Awaited<ReturnType<typeof setup>>;

type Case = {
  code: string;
  args?: string[];
  credentials?: string;
  begin?: (subject: Subject) => Promise<unknown>;
  says: RegExp;
};

const CASES: Case[] = [
  { code: 'NOREPLICAS', args: ['--min-replicas-to-write', '1'], says: /min-replicas-to-write/ },
  {
    code: 'OOM',
    begin: ({ admin }) => admin.config('SET', 'maxmemory', '100kb'),
    says: /Redis is out of memory \(maxmemory\)/,
  },
  {
    code: 'MISCONF',
    begin: async ({ admin }) => {
      const [, folder] = (await admin.config('GET', 'dir')) as string[];
      // Redis cannot replace a folder by its snapshot.
      await mkdir(join(String(folder), 'dump.rdb', 'x'), { recursive: true });
      await admin.config('SET', 'save', '3600 1');
      await admin.bgsave();
      await waitFor(async () => (await admin.info()).includes('rdb_last_bgsave_status:err'));
    },
    says: /fails to write its data to disk/,
  },
  {
    code: 'BUSY',
    args: ['--lua-time-limit', '10'],
    begin: async ({ admin, enqueue }) => {
      await enqueue();
      const other = admin.duplicate();
      other.on('error', () => {});
      other.eval('while true do end', 0).catch(() => {});
      closing.push(async () => {
        await admin.script('KILL');
        other.disconnect();
      });
      await waitFor(() => admin.ping().catch((err: Error) => err.message.startsWith('BUSY')));
      await waitFor(() =>
        admin.ping().then(
          () => false,
          () => true,
        ),
      );
    },
    says: /SCRIPT KILL/,
  },
  { code: 'CLUSTERDOWN', args: ['--cluster-enabled', 'yes'], says: /Redis Cluster/ },
  {
    code: 'NOPERM',
    credentials: `app:${PASSWORD}@`,
    begin: ({ admin }) =>
      admin.acl('SETUSER', 'app', 'on', `>${PASSWORD}`, '~*', '&*', '+@all', '-hset', '-hmset'),
    says: /Grant its user the permission/,
  },
  {
    code: 'NOAUTH',
    begin: ({ admin }) => admin.config('SET', 'requirepass', PASSWORD),
    says: /Set the user name and password in REDIS_URL/,
  },
  {
    code: 'WRONGPASS',
    credentials: `:${PASSWORD}@`,
    begin: ({ admin }) => admin.config('SET', 'requirepass', 'another-password'),
    says: /Correct the user name and password in REDIS_URL/,
  },
  {
    code: 'READONLY',
    begin: ({ admin }) => admin.replicaof('127.0.0.1', '1'),
    says: /REDIS_URL must lead to the master/,
  },
];

describe('a Redis that refuses writes', () => {
  it.each(CASES)('$code → the producer says so, with the address', async (refusal) => {
    const { code, args = [], credentials = '', begin = async () => {}, says } = refusal;
    const subject = await setup(args, credentials);
    await begin(subject);

    const error: Error = await subject.enqueue().then(
      () => new Error('accepted'),
      (err) => err,
    );

    expect(error).toMatchObject({
      name: 'QueueUnavailableError',
      code,
      message: expect.stringMatching(says),
    });
    expect(error.message).toContain(subject.host);
    expect(JSON.stringify([error.message, String(error.cause)])).not.toContain(PASSWORD);
  });
});

describe('the API on a Redis that refuses writes', () => {
  it('signals → 503 with the refusal; readiness → 503 with its code and no host, then ready again', async () => {
    const redis = await startRedis(undefined, ['--min-replicas-to-write', '1']);
    closing.push(redis.stop);
    const platform: Platform = {
      open: (config, profile, logger) =>
        openRedis({ ...queueOptions(config), url: redis.url, profile, logger }),
      clear: async () => {},
      stop: redis.stop,
    };
    const { call, url, stop } = await startDispatcher(platform, { workers: 0 });
    closing.push(stop);

    const answer = await call('POST', '/signals', buildApplicationComplete({ token: newToken() }));
    const ready = await fetch(`${url}/health/ready`);

    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await answer.json()).toEqual({
      code: 'NOREPLICAS',
      message: expect.stringMatching(`Redis at 127.0.0.1:${redis.port} refuses: NOREPLICAS`),
    });
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({
      status: 'unavailable',
      code: 'NOREPLICAS',
      message: 'The queue is unavailable',
    });

    const admin = new Redis(redis.url);
    await admin.config('SET', 'min-replicas-to-write', '0');
    admin.disconnect();
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  });
});

describe('a Redis that cannot be reached', () => {
  it('nothing listens → ECONNREFUSED with the address, also as the cause', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    const producer = createProducer({ redisUrl: `redis://${host}` });
    closing.push(producer.close);

    await expect(
      producer.enqueue({ typeCode: 'ApplicationComplete', token: newToken() }),
    ).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      message: expect.stringContaining(`Redis at ${host} is not reachable`),
      cause: { code: 'ECONNREFUSED' },
    });
  });
});

describe('a closed producer', () => {
  it('before its first call → every call rejects with CLOSED', async () => {
    const { producer: open, enqueue } = await setup();
    const producer = open();
    await producer.close();

    const calls = [
      enqueue(),
      producer.enqueueMany([]),
      producer.recordSeekToken({ applicationId: 'a', token: 't', source: 'linkOut' }),
      producer.recordMany([]),
      producer.eraseApplication('a'),
    ];

    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: {
          name: 'QueueUnavailableError',
          code: 'CLOSED',
          message: 'This producer is closed',
        },
      });
    }
  });

  it('during a call → the call is accepted or rejects with CLOSED', async () => {
    const { producer, enqueue } = await setup();
    await enqueue();
    const pending = enqueue();
    await producer().close();

    const [result] = await Promise.allSettled([pending]);
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'CLOSED' });
    await expect(enqueue()).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
