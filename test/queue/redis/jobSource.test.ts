import type { Redis } from 'ioredis';
import { LOCK_MS } from '../../../src/queue/jobOptions.ts';
import type { Exchange } from '../../../src/queue/jobSource.ts';
import {
  idsOf,
  type JobSourceSetup,
  MANY,
  NO_JOBS,
  RESULT,
  useJobSource,
} from './setupJobSource.ts';

const HOUR_MS = 3_600_000;
const TIMES = ['timestamp', 'processedOn', 'finishedOn'];

const { setup, client } = useJobSource();

/** All that Redis stores of the queue. Times, locks and events differ from run to run. */
const dump = async (redis: Redis, { keyOf }: JobSourceSetup) => {
  const start = keyOf('');
  const keys = (await redis.keys(`${start}*`)).filter((key) => !key.endsWith(':events')).sort();
  const entries = keys.map(async (key) => [key.slice(start.length), await read(redis, key)]);
  return Object.fromEntries(await Promise.all(entries));
};

const read = async (redis: Redis, key: string): Promise<unknown> => {
  switch (await redis.type(key)) {
    case 'hash':
      return Object.fromEntries(
        Object.entries(await redis.hgetall(key)).map(([field, value]) => [
          field,
          TIMES.includes(field) ? Math.abs(Number(value) - Date.now()) < 60_000 : value,
        ]),
      );
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return (await redis.smembers(key)).sort();
    case 'zset':
      return (await redis.zrangebyscore(key, '-inf', '+inf')).sort();
    default:
      return Math.round((await redis.pttl(key)) / 10_000) * 10_000;
  }
};

const comparable = ({ taken, ...exchange }: Exchange) => ({
  ...exchange,
  taken: taken.map((job) => ({ ...job, lock: '', timestamp: 0 })),
});

describe('an exchange', () => {
  it('takes, completes and takes again → Redis holds what BullMQ would have stored, one by one', async () => {
    const [own, ours] = await Promise.all(
      (['BullMQ’s own', 'ours'] as const).map(async (kind) => {
        const at = await setup(kind);
        const dumps: unknown[] = [];
        const note = async () => {
          dumps.push(await dump(client(), at));
        };
        await at.add(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
        const [a, b, ...others] = await at.take(4);
        await note();
        if (a === undefined || b === undefined) throw new Error('Expected jobs');
        // As BullMQ marks jobs that may stall.
        await client().sadd(at.keyOf('stalled'), ['a', 'b', 'c']);
        const first = await at.complete([a, b], RESULT, { ...MANY, jobs: 2 });
        await note();
        const second = await at.complete([...others, ...first.taken], null, MANY);
        await note();
        const last = await at.complete(second.taken, 'text', MANY);
        await note();
        return { dumps, exchanges: [first, second, last].map(comparable) };
      }),
    );

    expect(ours).toEqual(own);
    expect(ours?.dumps[1]).toMatchObject({
      wait: ['g'],
      active: ['f', 'e', 'd', 'c'],
      stalled: ['c'],
      completed: ['a', 'b'],
      'e:lock': LOCK_MS,
      a: { ats: '1', atm: '1', returnvalue: JSON.stringify(RESULT), finishedOn: true },
    });
  });

  it('a job has failed attempts, stalls and times → they are taken with it', async () => {
    const at = await setup();
    const timestamp = 1_700_000_000_000;
    await at.queue.add('Type', { text: 'naïve 😀' }, { jobId: 'a', timestamp });
    await client().hset(at.keyOf('a'), { atm: 3, ats: 5, stc: 2 });

    const [job] = await at.take();

    expect(job).toEqual({
      id: 'a',
      name: 'Type',
      data: { text: 'naïve 😀' },
      bytes: Buffer.byteLength('{"text":"naïve 😀"}'),
      timestamp,
      attemptsMade: 3,
      stalledCounter: 2,
      lock: await client().get(at.keyOf('a:lock')),
    });
    expect(await client().hmget(at.keyOf('a'), 'atm', 'ats', 'stc')).toEqual(['3', '6', '2']);
  });

  it('wants two jobs and one waits → takes it, and says that there is no more', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c']);
    const jobs = await at.take(2);

    const { taken, hasMore } = await at.complete(jobs, RESULT, { ...MANY, jobs: 2 });

    expect([idsOf(taken), hasMore]).toEqual([['c'], false]);
    expect(await client().pttl(at.keyOf('c:lock'))).toBeGreaterThan(LOCK_MS / 2);
    expect(await at.source.exchange([], MANY)).toMatchObject({ taken: [], hasMore: false });
  });

  it('takes jobs again and again → no two have the same lock', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c', 'd']);
    const jobs = [...(await at.take(2)), ...(await at.take(2))];

    const stored = await client().mget(idsOf(jobs).map((id) => at.keyOf(`${id}:lock`)));

    expect(stored).toEqual(jobs.map(({ lock }) => lock));
    expect(new Set(stored).size).toBe(4);
  });

  it('more jobs than one exchange takes → all complete', async () => {
    const at = await setup();
    const all = Array.from({ length: 250 }, (_, n) => `job-${n}`);
    await at.add(all);
    const jobs = await at.take(250);

    expect((await at.complete(jobs)).completed).toEqual(all.map(() => true));
    expect((await at.ids('completed')).sort()).toEqual(all.sort());
    expect(await at.ids('active')).toEqual([]);
  });

  it('more bytes wait than wanted → takes as many jobs as fit, and at least one', async () => {
    const at = await setup();
    for (const jobId of ['a', 'b', 'c', 'd']) {
      await at.queue.add('signal', 'x'.repeat(jobId === 'd' ? 900 : 398), { jobId });
    }
    const exchange = async () => {
      const { taken, hasMore } = await at.source.exchange([], { jobs: 10, bytes: 800 });
      return [idsOf(taken), hasMore];
    };

    expect(await exchange()).toEqual([['a', 'b'], true]);
    expect(await exchange()).toEqual([['c'], true]);
    expect(await exchange()).toEqual([['d'], false]);
  });
});

describe('completed jobs', () => {
  it('more than the count to keep → the oldest are removed, with their logs', async () => {
    const at = await setup('ours', { age: 3_600, count: 2 });
    await at.add(['a', 'b', 'c']);
    const [a, ...others] = await at.take();
    await (await at.queue.getJob('a'))?.log('a line');
    await at.complete(a === undefined ? [] : [a]);

    await at.complete(others);

    expect((await at.ids('completed')).sort()).toEqual(['b', 'c']);
    await expect(at.queue.getJob('a')).resolves.toBeUndefined();
    await expect(client().exists(at.keyOf('a:logs'))).resolves.toBe(0);
  });

  it('older than the age to keep → removed', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    await at.complete(await at.take(1));
    await client().zadd(at.keyOf('completed'), Date.now() - 2 * HOUR_MS, 'a');

    await at.complete(await at.take(1));

    expect(await at.ids('completed')).toEqual(['b']);
    await expect(at.queue.getJob('a')).resolves.toBeUndefined();
  });

  it('a signal under an Idempotency-Key → its dedupe record names its content, for the rest of its window', async () => {
    const at = await setup();
    const timestamp = Date.now() - HOUR_MS;
    const data = { contentId: 'content', dedupeWindowMs: 2 * HOUR_MS };
    await at.queue.add('signal', data, { jobId: 'a', timestamp });

    await at.complete(await at.take());

    const { text, ms } = await at.readDedupe('a');
    expect([text, Math.round(ms / 60_000)]).toEqual(['accepted content', 60]);
  });

  it.each([
    { dedupeWindowMs: 86_400_000 / 7 },
    { dedupeWindowMs: 1e30 },
    { dedupeWindowMs: 'long' },
  ])('one has the dedupe window $dedupeWindowMs → all complete', async ({ dedupeWindowMs }) => {
    const at = await setup();
    for (const jobId of ['a', 'b', 'c']) {
      await at.queue.add('signal', jobId === 'b' ? { dedupeWindowMs } : {}, { jobId });
    }

    const { completed } = await at.complete(await at.take());

    expect(completed).toEqual([true, true, true]);
    expect((await at.ids('completed')).sort()).toEqual(['a', 'b', 'c']);
    expect((await at.readDedupe('b')).ms).toBeGreaterThan(0);
  });

  it('the dedupe window is over → no dedupe record', async () => {
    const at = await setup();
    const timestamp = Date.now() - HOUR_MS;
    await at.queue.add('signal', { dedupeWindowMs: HOUR_MS / 2 }, { jobId: 'a', timestamp });

    expect((await at.complete(await at.take())).completed).toEqual([true]);
    expect((await at.readDedupe('a')).text).toBeNull();
  });

  it('one is delivered → its skip record is deleted, and a longer dedupe record is not shortened', async () => {
    const at = await setup();
    await at.add(['sent', 'skipped']);
    const skipRecord = (id: string) => `${at.prefix}:skipped:${id}`;
    for (const id of ['sent', 'skipped']) await client().set(skipRecord(id), 'record');
    await client().set(`${at.prefix}:dedupe:sent`, 'accepted', 'PX', 9_000 * HOUR_MS);
    await client().set(`${at.prefix}:dedupe:skipped`, 'reopened', 'PX', 1_000);
    const jobs = await at.take();

    await at.source.exchange(
      jobs.map((job) => ({
        job,
        result: { outcome: job.id === 'sent' ? 'delivered' : 'skipped' },
      })),
      NO_JOBS,
    );

    expect(await client().exists(skipRecord('sent'))).toBe(0);
    expect(await client().exists(skipRecord('skipped'))).toBe(1);
    expect((await at.readDedupe('sent')).ms).toBeGreaterThan(8_999 * HOUR_MS);
    const replaced = await at.readDedupe('skipped');
    expect([replaced.text, replaced.ms > HOUR_MS]).toEqual(['accepted', true]);
  });
});

describe('locks', () => {
  it('one was lost to another worker, one expired on a job that is still active → the first is refused, the others complete', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c', 'd']);
    const jobs = await at.take(3);
    await client().set(at.keyOf('a:lock'), 'another’s');
    await client().del(at.keyOf('b:lock'));

    const { completed, taken } = await at.complete(jobs, RESULT, MANY);

    expect([completed, idsOf(taken)]).toEqual([[false, true, true], ['d']]);
    expect((await at.ids('completed')).sort()).toEqual(['b', 'c']);
    expect((await at.ids('active')).sort()).toEqual(['a', 'd']);
    await expect(client().get(at.keyOf('a:lock'))).resolves.toBe('another’s');
    expect((await at.readDedupe('a')).text).toBeNull();
  });

  it('one expired and its job waits again → it is refused, and its job stays in the queue', async () => {
    const at = await setup();
    await at.add(['a', 'b']);
    const jobs = await at.take();
    await client().del(at.keyOf('a:lock'));
    await client().lrem(at.keyOf('active'), 1, 'a');
    await client().lpush(at.keyOf('wait'), 'a');

    expect((await at.complete(jobs)).completed).toEqual([false, true]);
    expect([await at.ids('completed'), await at.ids('wait')]).toEqual([['b'], ['a']]);
  });

  it('a job comes back to the same process → only its new run may complete it', async () => {
    const at = await setup();
    await at.add(['a']);
    const first = await at.take();
    await client().del(at.keyOf('a:lock'));
    await client().lrem(at.keyOf('active'), 1, 'a');
    await client().lpush(at.keyOf('wait'), 'a');
    const second = await at.take();

    expect((await at.complete(first)).completed).toEqual([false]);
    expect((await at.complete(second)).completed).toEqual([true]);
  });

  it('they are extended → those that are ours last longer, and the others are named', async () => {
    const at = await setup();
    await at.add(['a', 'b', 'c']);
    const jobs = await at.take();
    for (const id of ['a', 'b', 'c']) await client().pexpire(at.keyOf(`${id}:lock`), 5_000);
    await client().set(at.keyOf('b:lock'), 'another’s', 'PX', 5_000);
    await client().del(at.keyOf('c:lock'));

    expect((await at.source.extendLocks(jobs)).sort()).toEqual(['b', 'c']);
    expect(await client().pttl(at.keyOf('a:lock'))).toBeGreaterThan(LOCK_MS / 2);
    expect(await client().pttl(at.keyOf('b:lock'))).toBeLessThanOrEqual(5_000);
  });
});
