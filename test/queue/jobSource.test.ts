import { loadConfig } from '../../src/config/config.ts';
import { type Backend, type JobQueue, SIGNALS } from '../../src/queue/backend.ts';
import { signalJobOptions } from '../../src/queue/jobOptions.ts';
import type { JobSource, TakenJob } from '../../src/queue/jobSource.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { PLATFORMS, type Platform } from '../support/platforms.ts';
import { waitFor } from '../support/waitFor.ts';

const KEEP = { age: 3_600, count: 1_000 };
const MANY = { jobs: 100, bytes: 1024 * 1024 };
const NO_JOBS = { jobs: 0, bytes: 0 };
const ACCEPTED_AT = 1_700_000_000_000;

describe.each(PLATFORMS)('the jobs of a queue on $name', ({ start }) => {
  let platform: Platform;
  let backend: Backend;
  let queue: JobQueue;
  let source: JobSource;

  beforeAll(async () => {
    platform = await start();
  });
  beforeEach(async () => {
    await platform.clear();
    backend = platform.open(loadConfig({}), 'patient', captureLogs().logger);
    queue = await backend.queue(SIGNALS);
    source = backend.openJobs(SIGNALS, KEEP);
    await source.open();
  });
  afterEach(async () => {
    await source.close();
    await backend.close();
  });
  afterAll(() => platform.stop());

  const add = (...ids: string[]) =>
    queue.addBulk(
      ids.map((id) => ({
        name: 'Type',
        data: buildSignalJob({ contentId: id }),
        opts: signalJobOptions(id, ACCEPTED_AT),
      })),
    );

  const take = async (): Promise<TakenJob[]> => (await source.exchange([], MANY)).taken;

  const takeOne = async (): Promise<TakenJob> => {
    await add('a');
    const [job] = await take();
    if (job === undefined) throw new Error('Expected a job');
    return job;
  };

  const readJob = async (id: string) => {
    const job = await queue.getJob(id);
    return { job, state: await queue.getJobState(id) };
  };

  it('wants jobs → takes them in order, with all that a worker needs', async () => {
    await add('a', 'b', 'c');

    const first = await source.exchange([], { ...MANY, jobs: 2 });
    const second = await source.exchange([], MANY);

    expect(first.taken.map(({ id }) => id)).toEqual(['a', 'b']);
    expect([first.hasMore, second.hasMore]).toEqual([true, false]);
    expect(second.taken).toEqual([
      {
        id: 'c',
        name: 'Type',
        data: buildSignalJob({ contentId: 'c' }),
        bytes: Buffer.byteLength(JSON.stringify(buildSignalJob({ contentId: 'c' }))),
        timestamp: ACCEPTED_AT,
        attemptsMade: 0,
        stalledCounter: 0,
        lock: expect.any(String),
      },
    ]);
    expect((await readJob('a')).state).toBe('active');
  });

  it('completes jobs and takes others → each has its result', async () => {
    await add('a', 'b', 'c');
    const { taken } = await source.exchange([], { ...MANY, jobs: 2 });

    const exchange = await source.exchange(
      taken.map((job) => ({ job, result: { of: job.id } })),
      MANY,
    );

    expect(exchange.completed).toEqual([true, true]);
    expect(exchange.taken.map(({ id }) => id)).toEqual(['c']);
    for (const id of ['a', 'b']) {
      const { job, state } = await readJob(id);
      expect([state, job?.returnvalue, job?.attemptsMade]).toEqual(['completed', { of: id }, 1]);
    }
  });

  it('an exchange is repeated after one of its completions failed → those that count are not refused', async () => {
    await add('a', 'b');
    const { taken } = await source.exchange([], { ...MANY, jobs: 2 });
    const [a, b] = taken.map((job) => ({ job, result: job.id as unknown }));
    if (a === undefined || b === undefined) throw new Error('no jobs');
    b.result = 1n;

    await expect(source.exchange([a, b], NO_JOBS)).rejects.toThrow(TypeError);
    b.result = 'b';

    expect((await source.exchange([a, b], NO_JOBS)).completed).toEqual([true, true]);
  });

  it('a job was completed before → is refused', async () => {
    const job = await takeOne();
    await source.exchange([{ job, result: 1 }], NO_JOBS);

    const { completed } = await source.exchange([{ job, result: 2 }], NO_JOBS);

    expect(completed).toEqual([false]);
    expect((await readJob('a')).job?.returnvalue).toBe(1);
  });

  it('retries a job → it is delayed, with the reason and one attempt more, and comes back', async () => {
    const job = await takeOne();

    await source.retry(job, 'TIMEOUT: late', 60_000);

    const { job: retried, state } = await readJob('a');
    expect(state).toBe('delayed');
    expect(retried).toMatchObject({ failedReason: 'TIMEOUT: late', attemptsMade: 1 });
    expect(retried?.delay).toBe(60_000);
    await (await queue.getJob('a'))?.promote();
    const [again] = await take();
    expect(again).toMatchObject({ id: 'a', attemptsMade: 1 });
    expect(again?.lock).not.toBe(job.lock);
  });

  it('retries a job without a wait → it comes back at once', async () => {
    const job = await takeOne();

    await source.retry(job, 'TIMEOUT: late', 0);

    expect(await take()).toMatchObject([{ id: 'a', attemptsMade: 1 }]);
  });

  it('fails a job → it has failed, with the data that this worker wrote', async () => {
    const job = await takeOne();
    const data = buildSignalJob({ redrives: 3 });
    await backend.jobData.write(job, data);

    const failed = await source.fail(job, 'FORBIDDEN: no');

    expect(failed).toMatchObject({ id: 'a', failedReason: 'FORBIDDEN: no', data });
    expect(failed.finishedOn).toEqual(expect.any(Number));
    const { job: stored, state } = await readJob('a');
    expect([state, stored?.finishedOn, stored?.data]).toEqual(['failed', failed.finishedOn, data]);
  });

  it('delays a job → it waits until then, without an attempt', async () => {
    const job = await takeOne();
    const at = Date.now() + 60_000;

    await source.delay(job, at);

    const { job: delayed, state } = await readJob('a');
    expect([state, delayed?.attemptsMade]).toEqual(['delayed', 0]);
    expect(await take()).toEqual([]);
  });

  it('requeues a job → the next take has it again, without an attempt', async () => {
    const job = await takeOne();

    await source.requeue(job);

    expect((await readJob('a')).state).toBe('waiting');
    expect(await take()).toMatchObject([{ id: 'a', attemptsMade: 0, stalledCounter: 0 }]);
  });

  it('the end of a job that this process does not hold any more → rejects', async () => {
    const job = await takeOne();
    await source.requeue(job);

    await expect(source.retry(job, 'late', 1_000)).rejects.toThrow();
    await expect(source.fail(job, 'late')).rejects.toThrow();
    await expect(source.delay(job, Date.now() + 1_000)).rejects.toThrow();
    // The embedded queue does nothing, and resolves.
    await source.requeue(job).catch(() => {});
    expect((await readJob('a')).state).toBe('waiting');
  });

  it('extends locks → names those that are lost', async () => {
    await add('a', 'b');
    const jobs = await take();
    await source.requeue(jobs[1] ?? (await takeOne()));

    expect(await source.extendLocks(jobs)).toEqual(['b']);
  });

  it('waits for a job → has it soon after it was added', async () => {
    const waitForJob = async () => {
      for (;;) {
        const job = await source.waitForJob();
        if (job !== undefined) return job;
      }
    };
    const waiting = waitForJob();

    await add('a');

    expect(await waiting).toMatchObject({ id: 'a', attemptsMade: 0 });
  });

  it('no longer waits for a job → the wait ends at once', async () => {
    let ended = 0;
    const wait = async () => {
      await source.waitForJob().catch(() => {});
      ended += 1;
    };
    await wait();
    void wait();

    await waitFor(async () => {
      await source.stopWaiting();
      return ended >= 2;
    });
  });
});
