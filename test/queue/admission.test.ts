import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { loadConfig } from '../../src/config/config.ts';
import { type Backend, type NewJob, SIGNALS } from '../../src/queue/backend.ts';
import { createEmbeddedEnqueue } from '../../src/queue/embedded/admission.ts';
import { openEmbeddedBookkeeping } from '../../src/queue/embedded/bookkeeping.ts';
import { openPglite } from '../../src/queue/embedded/pglite.ts';
import { signalJobOptions } from '../../src/queue/jobOptions.ts';
import { createRedisEnqueue } from '../../src/queue/redis/admission.ts';
import { createRedisBookkeeping } from '../../src/queue/redis/bookkeeping.ts';
import { createRedisJobs } from '../../src/queue/redis/jobStore.ts';
import { SIGNAL_JOB_VERSION } from '../../src/schemas/signalJob.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import { PLATFORMS, type Platform } from '../support/platforms.ts';
import { startRedis } from '../support/redisServer.ts';
import { startTcpProxy } from '../support/tcpProxy.ts';
import { waitFor } from '../support/waitFor.ts';

const ACCEPTED_AT = Date.now();

const buildJob = (signalId: string = randomUUID(), contentId = signalId): NewJob => ({
  signalId,
  contentId,
  data: {
    version: SIGNAL_JOB_VERSION,
    signal: { typeCode: 'ApplicationComplete', token: signalId },
    ...(contentId === signalId ? {} : { contentId }),
    acceptedAt: new Date(ACCEPTED_AT).toISOString(),
    acceptedFrom: 'test',
  },
});

const ADDED = { kind: 'added' };

describe.each(PLATFORMS)('enqueueIfAbsent on $name', ({ start }) => {
  let platform: Platform;
  let backend: Backend;
  beforeAll(async () => {
    platform = await start();
    await platform.clear();
    backend = platform.open(loadConfig({}), 'fail-fast', captureLogs().logger);
  });
  afterAll(async () => {
    await backend.close();
    await platform.stop();
  });

  it('twenty concurrent callers with one signal → exactly one adds it', async () => {
    const job = buildJob();

    const answers = await Promise.all(
      Array.from({ length: 20 }, () => backend.enqueueIfAbsent([job])),
    );

    const kinds = answers.flat().map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'added')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'known')).toHaveLength(19);
  });

  it('new signals around a known one → added in their order', async () => {
    const [a, b, c] = [buildJob(), buildJob(), buildJob()];
    await backend.enqueueIfAbsent([b]);

    expect(await backend.enqueueIfAbsent([a, b, c])).toEqual([
      ADDED,
      expect.objectContaining({ kind: 'known', queued: true }),
      ADDED,
    ]);
    const queue = await backend.queue(SIGNALS);
    const waiting = await queue.getRanges(['wait'], 0, -1, true);
    const ours = waiting.filter((id) => [a, b, c].some(({ signalId }) => signalId === id));
    expect(ours).toEqual([b.signalId, a.signalId, c.signalId]);
  });

  it('more signals than one script takes → all are added, and known after that', async () => {
    const jobs = Array.from({ length: 250 }, () => buildJob());

    expect(await backend.enqueueIfAbsent(jobs)).toEqual(jobs.map(() => ADDED));
    expect((await backend.enqueueIfAbsent(jobs)).map(({ kind }) => kind)).toEqual(
      jobs.map(() => 'known'),
    );
  });

  it('an added signal → BullMQ reads its whole job', async () => {
    const job = buildJob();
    await backend.enqueueIfAbsent([job]);

    const queued = await (await backend.queue(SIGNALS)).getJob(job.signalId);

    expect(queued).toMatchObject({
      name: 'ApplicationComplete',
      data: job.data,
      timestamp: ACCEPTED_AT,
      attemptsMade: 0,
      delay: 0,
      priority: 0,
      opts: { attempts: 1_000_000_000, backoff: { type: 'seek' } },
    });
    expect(await queued?.getState()).toBe('waiting');
  });
});

describe('enqueueIfAbsent in Redis', () => {
  const { opened, closing } = closeAfterEach();

  const setup = async () => {
    const redis = await opened(startRedis());
    const client = new Redis(redis.url);
    closing.push(async () => client.disconnect());
    const { openRedis } = await import('../../src/queue/redis/openRedis.ts');
    const backend = openRedis({
      url: redis.url,
      prefix: '{p}',
      profile: 'fail-fast',
      logger: captureLogs().logger,
      dedupeWindowMs: 60_000,
      keepDeliveredMs: 60_000,
    });
    closing.push(backend.close);
    return { client, backend, ...createRedisEnqueue({ client, prefix: '{p}' }) };
  };

  it('adds a signal → Redis holds the job as if BullMQ had added it, and the nonce of the call', async () => {
    const { client, backend, enqueueIfAbsent } = await setup();
    const [ours, own] = [buildJob('ours'), buildJob('own')];
    await enqueueIfAbsent([ours]);
    const marked = await client.zrange('{p}:signals:marker', '0', '-1', 'WITHSCORES');
    await client.del('{p}:signals:marker');
    const queue = await backend.queue(SIGNALS);
    await queue.add('ApplicationComplete', own.data, signalJobOptions('own', ACCEPTED_AT));

    const [a, b] = await Promise.all(
      ['ours', 'own'].map((id) => client.hgetall(`{p}:signals:${id}`)),
    );

    const nonce = expect.stringMatching(/^\S+:1$/);
    expect({ ...a, data: '', opts: '' }).toEqual({
      ...b,
      data: '',
      opts: '',
      nonce,
      unshared: '1',
    });
    expect(JSON.parse(b?.opts ?? '')).toMatchObject(JSON.parse(a?.opts ?? ''));
    expect(await client.zrange('{p}:signals:marker', '0', '-1', 'WITHSCORES')).toEqual(marked);
    expect(await client.lrange('{p}:signals:wait', 0, -1)).toEqual(['own', 'ours']);
  });

  it('adds to a paused queue → wakes no worker', async () => {
    const { client, backend, enqueueIfAbsent } = await setup();
    await (await backend.bullQueue(SIGNALS)).pause();
    await enqueueIfAbsent([buildJob()]);
    expect(await client.exists('{p}:signals:marker')).toBe(0);
  });

  it('finds a pending dedupe record of an older version, and no job → added', async () => {
    const { client, enqueueIfAbsent } = await setup();
    const job = buildJob();
    await client.set(`{p}:dedupe:${job.signalId}`, `pending ${job.contentId}`);
    expect(await enqueueIfAbsent([job])).toEqual([ADDED]);
  });

  it('finds a dedupe record → known, with the recorded content', async () => {
    const { client, enqueueIfAbsent } = await setup();
    const job = buildJob('id', 'content');
    await client.set('{p}:dedupe:id', 'accepted content');
    expect(await enqueueIfAbsent([job])).toEqual([
      { kind: 'known', recordedContentId: 'content', queued: false },
    ]);
  });

  it('Redis rejects the script → both callers get the error, and neither signal is added in part', async () => {
    const { client, enqueueIfAbsent } = await setup();
    const [a, b] = [buildJob(), buildJob()];
    await client.set('{p}:signals:wait', 'no list');

    const refused = await Promise.allSettled([enqueueIfAbsent([a]), enqueueIfAbsent([b])]);
    await client.del('{p}:signals:wait');

    expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await enqueueIfAbsent([a, b])).toEqual([ADDED, ADDED]);
  });

  it('Redis is full → rejects, and adds the signal once there is memory', async () => {
    const { client, enqueueIfAbsent } = await setup();
    const job = buildJob();
    await client.config('SET', 'maxmemory', '1kb');
    await expect(enqueueIfAbsent([job])).rejects.toThrow(/OOM/);
    await client.config('SET', 'maxmemory', '0');
    expect(await enqueueIfAbsent([job])).toEqual([ADDED]);
  });
});

describe('a script that ioredis sends again', () => {
  const { opened, closing } = closeAfterEach();

  /** The answer to the first script that adds a signal is lost, and the connection with it. */
  const setup = async () => {
    const redis = await opened(startRedis());
    const proxy = await opened(startTcpProxy(redis.port));
    const connect = (port: number) => {
      const client = new Redis({ port, maxRetriesPerRequest: 1, retryStrategy: () => 20 });
      client.on('error', () => {});
      closing.push(async () => client.disconnect());
      return client;
    };
    const direct = connect(redis.port);
    const client = connect(proxy.port);
    const { enqueueIfAbsent } = createRedisEnqueue({ client, prefix: '{p}' });
    // Loads the script, so that the next call is one request.
    await enqueueIfAbsent([buildJob('first')]);
    const loseNextAnswer = (beforeCut: () => Promise<void> = async () => {}) =>
      proxy.watch((text, { hold }) => {
        if (!text.includes('acceptedAt')) return;
        proxy.watch(undefined);
        hold();
        void waitFor(async () => (await direct.exists('{p}:signals:id')) === 1)
          .then(beforeCut)
          .then(proxy.cut);
      });
    return { direct, enqueueIfAbsent, loseNextAnswer };
  };

  it('its answer was lost → added, once', async () => {
    const { direct, enqueueIfAbsent, loseNextAnswer } = await setup();
    loseNextAnswer();

    expect(await enqueueIfAbsent([buildJob('id'), buildJob('other')])).toEqual([ADDED, ADDED]);
    expect(await direct.lrange('{p}:signals:wait', 0, -1)).toEqual(['other', 'id', 'first']);
  });

  it('two callers in it with one signal → exactly one adds it', async () => {
    const { enqueueIfAbsent, loseNextAnswer } = await setup();
    loseNextAnswer();

    const answers = await Promise.all([
      enqueueIfAbsent([buildJob('id')]),
      enqueueIfAbsent([buildJob('id')]),
    ]);

    expect(answers.flat()).toEqual([ADDED, { kind: 'known', queued: true }]);
  });

  it('another caller has found the signal meanwhile → still added', async () => {
    const { direct, enqueueIfAbsent, loseNextAnswer } = await setup();
    const other = createRedisEnqueue({ client: direct, prefix: '{p}' });
    let found: unknown;
    loseNextAnswer(async () => {
      found = await other.enqueueIfAbsent([buildJob('id')]);
    });

    expect(await enqueueIfAbsent([buildJob('id')])).toEqual([ADDED]);
    expect(found).toEqual([{ kind: 'known', queued: true }]);
  });
});

describe('a user without the permission for HSET', () => {
  const { opened, closing } = closeAfterEach();

  it('→ rejects, and leaves no id without a job', async () => {
    const redis = await opened(startRedis());
    const client = new Redis(redis.url);
    closing.push(async () => client.disconnect());
    await client.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-hset');
    const app = new Redis({ port: redis.port, username: 'app', password: 'pw' });
    closing.push(async () => app.disconnect());
    const { enqueueIfAbsent } = createRedisEnqueue({ client: app, prefix: '{p}' });

    await expect(enqueueIfAbsent([buildJob('id')])).rejects.toThrow(
      /can't run this command|no permissions/,
    );
    expect(await client.llen('{p}:signals:wait')).toBe(0);
  });
});

describe('taking back added signals', () => {
  const { opened, closing } = closeAfterEach();

  const setup = async () => {
    const redis = await opened(startRedis());
    const client = new Redis(redis.url);
    closing.push(async () => client.disconnect());
    const job = buildJob('id');
    const { enqueueIfAbsent, takeBack } = createRedisEnqueue({ client, prefix: '{p}' });
    await enqueueIfAbsent([job]);
    const isQueued = async () =>
      (await client.exists('{p}:signals:id')) === 1 &&
      (await client.lrange('{p}:signals:wait', 0, -1)).includes('id');
    return { client, job, enqueueIfAbsent, takeBack, isQueued };
  };

  it('a job that waits → removed, and added again by the next call', async () => {
    const { client, job, enqueueIfAbsent, takeBack, isQueued } = await setup();

    await takeBack([job]);

    expect(await client.keys('{p}:signals:*')).toEqual(['{p}:signals:marker']);
    expect(await enqueueIfAbsent([job])).toEqual([ADDED]);
    expect(await isQueued()).toBe(true);
  });

  it('a signal that was accepted before and reopened → stays', async () => {
    const { client, enqueueIfAbsent, takeBack } = await setup();
    const job = buildJob('again');
    await client.set('{p}:dedupe:again', 'reopened');
    await enqueueIfAbsent([job]);

    await takeBack([job]);

    expect(await client.exists('{p}:signals:again')).toBe(1);
  });

  it('another caller has found the job → stays', async () => {
    const { job, enqueueIfAbsent, takeBack, isQueued } = await setup();
    await enqueueIfAbsent([buildJob('id')]);

    await takeBack([job]);

    expect(await isQueued()).toBe(true);
  });

  it('another caller in the same script has found the job → stays', async () => {
    const { enqueueIfAbsent, takeBack, client } = await setup();
    const job = buildJob('twice');
    await Promise.all([enqueueIfAbsent([job]), enqueueIfAbsent([buildJob('twice')])]);

    await takeBack([job]);

    expect(await client.exists('{p}:signals:twice')).toBe(1);
  });

  it('a worker has had the job → stays, where it waits for its next attempt too', async () => {
    const { client, job, takeBack, isQueued } = await setup();
    await client.hset('{p}:signals:id', 'ats', 1);

    await takeBack([job]);

    expect(await isQueued()).toBe(true);
  });

  it('a job that another call added → stays', async () => {
    const { takeBack, isQueued } = await setup();

    await takeBack([buildJob('id')]);

    expect(await isQueued()).toBe(true);
  });
});

describe('enqueueIfAbsent in the embedded queue', () => {
  it('a caller crashed between reservation and add → the next caller adds the signal', async () => {
    const database = await openPglite(undefined);
    await openEmbeddedBookkeeping({ database });
    const added: unknown[] = [];
    const queue = {
      addBulk: async (jobs: unknown[]) => {
        added.push(...jobs);
        return [];
      },
    };
    const crashing = createEmbeddedEnqueue({
      database,
      queue: async () => ({
        addBulk: () => Promise.reject(new Error('crashed')),
      }),
    });
    const job = buildJob();
    await expect(crashing([job])).rejects.toThrow('crashed');

    const enqueueIfAbsent = createEmbeddedEnqueue({ database, queue: async () => queue });

    expect(await enqueueIfAbsent([job])).toEqual([ADDED]);
    expect(added).toHaveLength(1);
    expect(await enqueueIfAbsent([{ ...job, contentId: 'other' }])).toEqual([
      { kind: 'known', recordedContentId: job.contentId, queued: false },
    ]);
    await database.close();
  });
});

describe('reopening a skipped signal', () => {
  const { opened, closing } = closeAfterEach();

  it('in a full Redis → rejects, and its records stay', async () => {
    const redis = await opened(startRedis());
    const client = new Redis(redis.url);
    closing.push(async () => client.disconnect());
    const bookkeeping = createRedisBookkeeping({ client, prefix: '{p}' });
    const record = '{"reason":"no-token"}';
    await client.mset('{p}:dedupe:id', 'accepted', '{p}:skipped:id', record);
    await client.config('SET', 'maxmemory', '1kb');

    await expect(bookkeeping.reopen('id')).rejects.toThrow(/OOM/);
    expect(await bookkeeping.findDedupeRecord('id')).toBe('id');
    expect(await bookkeeping.findSkipRecord('id')).toEqual({ reason: 'no-token' });

    await client.config('SET', 'maxmemory', '0');
    await expect(bookkeeping.reopen('id')).resolves.toBe(true);
    expect(await bookkeeping.findDedupeRecord('id')).toBeUndefined();
    await expect(bookkeeping.reopen('id')).resolves.toBe(false);
  });
});

it('a removal with a skip record → the record lasts as long as the dedupe record', async () => {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  const jobs = createRedisJobs({ client, prefix: '{p}', skipRecordTtlMs: 1 });
  await createRedisEnqueue({ client, prefix: '{p}' }).enqueueIfAbsent([buildJob('id')]);
  const record = {
    signalId: 'id',
    typeCode: 'ApplicationComplete',
    state: 'skipped' as const,
    acceptedAt: '',
    attempts: [],
    redrives: 0,
  };
  const dedupe = { contentId: 'id', until: Date.now() + 60_000 };

  await expect(jobs.removeWaiting(SIGNALS, 'id', { record, dedupe })).resolves.toBe(true);

  expect(await client.pttl('{p}:skipped:id')).toBeGreaterThan(30_000);
  expect(await client.pttl('{p}:dedupe:id')).toBeGreaterThan(30_000);
  client.disconnect();
  await redis.stop();
});
