import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createPostgresBackend,
  Job,
  type Processor,
  Queue,
  UnrecoverableError,
  Worker,
  type WorkerOptions,
} from 'bullmq';

import { openPglite, type PgliteDatabase } from '../../../src/queue/embedded/pglite.ts';
import { waitFor } from '../../support/waitFor.ts';

const openQueue = (db: PgliteDatabase, name: string) =>
  new Queue(name, { connection: db.pool }, createPostgresBackend);

const startWorker = (
  db: PgliteDatabase,
  name: string,
  processor: Processor,
  options: Partial<WorkerOptions> = {},
) => new Worker(name, processor, { ...options, connection: db.pool }, createPostgresBackend);

let db: PgliteDatabase;

// Shared by all tests that need no folder, because it takes seconds to open.
beforeAll(async () => {
  db = await openPglite(undefined);
});
afterAll(() => db.close());

describe('a BullMQ queue on PGlite', () => {
  const opened: { close: () => Promise<void> }[] = [];
  const track = <T extends { close: () => Promise<void> }>(thing: T): T => {
    opened.push(thing);
    return thing;
  };

  afterEach(async () => {
    for (const thing of opened.splice(0).reverse()) await thing.close();
  });

  it('the same id is added twice → one job', async () => {
    const queue = track(openQueue(db, 'twice'));

    await queue.add('signal', { first: true }, { jobId: 'same' });
    await queue.add('signal', { first: false }, { jobId: 'same' });

    expect(await queue.getJobCounts('waiting')).toEqual({ waiting: 1 });
    expect((await queue.getJob('same'))?.data).toEqual({ first: true });
  });

  it('a job is added while the worker is idle → it runs at once', async () => {
    const queue = track(openQueue(db, 'idle'));
    const worker = track(startWorker(db, 'idle', async () => 'done', { drainDelay: 60 }));
    const drained = new Promise<void>((resolve) => worker.once('drained', () => resolve()));
    await queue.add('signal', {});
    await drained;

    const job = await queue.add('signal', {});

    // Without a notification, the worker would poll only after a minute.
    await waitFor(() => job.isCompleted());
  });

  it('an attempt fails → the next one waits as long as our backoff strategy says', async () => {
    const queue = track(openQueue(db, 'backoff'));
    const attempts: number[] = [];
    const waits: number[] = [];
    track(
      startWorker(
        db,
        'backoff',
        async (job) => {
          attempts.push(Date.now());
          if (job.attemptsMade < 2) throw new Error('not yet');
        },
        {
          settings: {
            backoffStrategy: (attempt) => {
              waits.push(attempt);
              return attempt * 60;
            },
          },
        },
      ),
    );

    const job = await queue.add('signal', {}, { attempts: 9, backoff: { type: 'seek' } });

    await waitFor(() => job.isCompleted());
    expect(waits).toEqual([1, 2]);
    const [first = 0, second = 0, third = 0] = attempts;
    expect(second - first).toBeGreaterThanOrEqual(60);
    expect(third - second).toBeGreaterThanOrEqual(120);
  });

  it('a failed job is retried → it completes', async () => {
    const queue = track(openQueue(db, 'retried'));
    let willing = false;
    track(
      startWorker(db, 'retried', async () => {
        if (!willing) throw new UnrecoverableError('refused');
      }),
    );
    const job = await queue.add('signal', {}, { attempts: 9 });
    await waitFor(() => job.isFailed());

    willing = true;
    const failed = await Job.fromId(queue, job.id ?? '');
    await failed?.retry('failed', { resetAttemptsMade: true });

    await waitFor(() => job.isCompleted());
  });

  it('two queues with two workers each, 300 jobs, 20 at a time → each job runs once', async () => {
    const names = ['left', 'right'];
    const seen: string[] = [];
    let ticks = 0;
    const clock = setInterval(() => ticks++, 5);
    const queues = names.map((name) => track(openQueue(db, name)));
    for (const name of [...names, ...names]) {
      const record: Processor = async (job) => seen.push(`${name} ${job.data.n}`);
      track(startWorker(db, name, record, { concurrency: 20 }));
    }

    await Promise.all(
      queues.flatMap((queue) =>
        Array.from({ length: 150 }, (_, n) => queue.add('signal', { n }, { jobId: `job-${n}` })),
      ),
    );
    await waitFor(async () => {
      const counts = await Promise.all(queues.map((queue) => queue.getJobCounts('completed')));
      return counts.every(({ completed }) => completed === 150);
    });
    clearInterval(clock);

    expect(seen).toHaveLength(300);
    expect(new Set(seen).size).toBe(300);
    // Timers fire while jobs run: the event loop is not starved.
    expect(ticks).toBeGreaterThan(10);
  });

  it('an idle worker closes → it stops', async () => {
    const worker = startWorker(db, 'closing', async () => {}, { drainDelay: 60 });
    await worker.waitUntilReady();

    await worker.close();

    expect(worker.isRunning()).toBe(false);
  });
});

describe('openPglite', () => {
  beforeAll(async () => {
    await db.query('CREATE TABLE public.note (id int PRIMARY KEY, said text)');
  });
  beforeEach(async () => {
    await db.query('DELETE FROM public.note');
  });

  it('a 64-bit integer → text, as from node-postgres', async () => {
    const { rows } = await db.query('SELECT 7::bigint AS big, 7::int AS small');

    expect(rows).toEqual([{ big: '7', small: 7 }]);
  });

  it('the database rejects a statement → the error holds none of its parameters', async () => {
    const secret = 'a-seek-token';
    await db.query('INSERT INTO public.note VALUES (1, $1)', [secret]);
    const toError = (err: unknown) => err;

    const errors = await Promise.all([
      db.query('INSERT INTO public.note VALUES (1, $1)', [secret]).catch(toError),
      db.query('SELECT $1::jsonb', [`{"token":"${secret}\\u0000"}`]).catch(toError),
      db.query('nonsense').catch(toError),
    ]);

    expect(errors).toEqual([
      expect.objectContaining({ code: '23505' }),
      expect.objectContaining({ code: '22P05' }),
      expect.objectContaining({ code: '42601' }),
    ]);
    for (const err of errors) {
      expect(JSON.stringify(Object.getOwnPropertyDescriptors(err))).not.toContain(secret);
    }
    expect((await db.query('SELECT id FROM public.note')).rows).toEqual([{ id: 1 }]);
  });

  it('a client runs a transaction → other clients wait for its end', async () => {
    const client = await db.pool.connect();
    await client.query('BEGIN');
    const outside = db.query('SELECT count(*)::int AS n FROM public.note');
    await client.query("INSERT INTO public.note VALUES (1, 'a')");
    await client.query("INSERT INTO public.note VALUES (2, 'b')");
    await client.query('COMMIT');
    client.release();

    expect((await outside).rows).toEqual([{ n: 2 }]);
  });

  it('a client is released with an open transaction → rolled back', async () => {
    const client = await db.pool.connect();
    await client.query('BEGIN');
    await client.query("INSERT INTO public.note VALUES (1, 'a')");
    await client.query('SELECT 1/0').catch(() => {});
    client.release();

    expect((await db.query('SELECT id FROM public.note')).rows).toEqual([]);
  });

  it('a notification → reaches listening clients after the commit', async () => {
    const client = await db.pool.connect();
    const messages: unknown[] = [];
    client.on('notification', (message) => messages.push(message));
    await client.query('LISTEN news');

    await db.query("SELECT pg_notify('news', 'psst')");

    await waitFor(() => messages.length > 0);
    expect(messages).toEqual([{ channel: 'news', payload: 'psst' }]);
    client.release();
  });

  it('closed twice while statements run → they finish, and the folder keeps the jobs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'seek-pglite-'));
    const before = await openPglite(folder);
    const queue = openQueue(before, 'kept');
    await queue.waitUntilReady();
    const adding = Array.from({ length: 20 }, (_, n) => queue.add('signal', { n }));
    await Promise.race(adding);

    await Promise.all([...adding, before.close(), before.close()]);
    await expect(before.query('SELECT 1')).rejects.toThrow(
      'Cannot use a pool after calling end on the pool',
    );
    const after = await openPglite(folder);
    const reopened = openQueue(after, 'kept');

    expect(await reopened.getJobCounts('waiting')).toEqual({ waiting: 20 });
    await Promise.all([queue.close(), reopened.close()]);
    await after.close();
    await rm(folder, { recursive: true });
  });
});
