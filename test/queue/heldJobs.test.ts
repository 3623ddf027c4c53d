import { LOCK_MS } from '../../src/queue/jobOptions.ts';
import type { TakenJob } from '../../src/queue/jobSource.ts';
import { buildTakenJob } from '../support/memoryJobSource.ts';
import { buildJobs, pass, setupPool, useTime } from './setupJobPool.ts';

useTime();

/** A queue whose locks expire unless they are extended. Records what was extended, and when. */
const setup = (extendLocks?: (jobs: readonly TakenJob[]) => Promise<string[]>) => {
  const extended: string[][] = [];
  const subject = setupPool();
  const own = subject.source.extendLocks;
  subject.source.extendLocks = (jobs) => {
    extended.push(jobs.map(({ id }) => id));
    return (extendLocks ?? own)(jobs);
  };
  return { ...subject, extended };
};

describe('the locks of held jobs', () => {
  it('→ are extended three times before they would expire, all together', async () => {
    const { start, add, extended, close } = setup();
    add(...buildJobs('a', 'b', 'c'));
    await start();

    for (let passed = 0; passed < LOCK_MS; passed += 1_000) await pass(1_000);

    expect(extended).toEqual(Array.from({ length: 3 }, () => ['a', 'b', 'c']));
    await close();
  });

  it('jobs have ended → only the others are extended, and none when all have', async () => {
    const { start, add, extended, complete, close } = setup();
    const jobs = buildJobs('a', 'b');
    add(...jobs);
    await start();

    complete(...jobs.slice(0, 1));
    await pass(LOCK_MS / 3);
    complete(...jobs.slice(1));
    await pass(LOCK_MS);

    expect(extended).toEqual([['b']]);
    await close();
  });

  it('the worker closes during a slow request → are extended until it has ended', async () => {
    const { start, add, extended, pool, complete, completed } = setup();
    const jobs = buildJobs('slow');
    add(...jobs);
    await start();

    const closing = pool.close();
    for (let n = 0; n < 4; n += 1) await pass(LOCK_MS / 2);
    expect(extended.length).toBeGreaterThanOrEqual(5);
    complete(...jobs);
    await pass(10);
    await closing;
    const count = extended.length;
    await pass(LOCK_MS);

    expect([completed, extended.length]).toEqual([['slow'], count]);
  });

  it('two are lost → these two are no longer held', async () => {
    const { start, add, loseLock, pool, messages, close } = setup();
    const jobs = buildJobs('a', 'b', 'c');
    add(...jobs);
    await start();

    for (const job of jobs.slice(0, 2)) loseLock(job);
    await pass(LOCK_MS / 3);

    expect(jobs.map(pool.holds)).toEqual([false, false, true]);
    expect(messages()).toEqual(['job.lockLost', 'job.lockLost']);
    await close();
  });

  it('Redis does not answer → the jobs stay held, and the next attempt follows', async () => {
    let attempts = 0;
    const { start, add, pool, messages, close } = setup(async () => {
      attempts += 1;
      if (attempts === 1) throw new Error('Connection is closed.');
      return [];
    });
    const [job = buildTakenJob()] = buildJobs('a');
    add(job);
    await start();

    await pass(LOCK_MS / 3);
    await pass(LOCK_MS / 3);

    expect([attempts, pool.holds(job)]).toEqual([2, true]);
    expect(messages()).toEqual(['Failed to extend the locks of jobs; trying again']);
    await close();
  });

  it('an attempt takes longer than the interval → the next one waits for it', async () => {
    let answer = () => {};
    const { start, add, extended, close } = setup(
      () =>
        new Promise((resolve) => {
          answer = () => resolve([]);
        }),
    );
    add(...buildJobs('a'));
    await start();

    await pass(LOCK_MS);
    expect(extended).toHaveLength(1);
    answer();
    await pass(LOCK_MS / 3);

    expect(extended).toHaveLength(2);
    await close();
  });

  it.each([
    ['completed', (t: Setup, job: TakenJob) => t.complete(job)],
    ['failed', (t: Setup, job: TakenJob) => void t.pool.fail(job, 'FORBIDDEN')],
    ['requeued', (t: Setup, job: TakenJob) => void t.pool.requeue(job)],
  ])(
    'the queue has %s a job whose answer is on its way → is not reported as lost',
    async (end, endJob) => {
      const subject = setup();
      const { source, start, add, completed, failed, ends, pool, messages, close } = subject;
      const [job = buildTakenJob()] = buildJobs('a');
      let answer = () => {};
      const isAnswered = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const { exchange, fail, requeue } = source;
      source.exchange = async (completions, wanted) => {
        const done = await exchange(completions, wanted);
        if (completions.length > 0) await isAnswered;
        return done;
      };
      source.fail = async (...args) => {
        const done = await fail(...args);
        await isAnswered;
        return done;
      };
      source.requeue = async (...args) => {
        await requeue(...args);
        await isAnswered;
      };
      add(job);
      await start();

      endJob(subject, job);
      await pass(LOCK_MS / 3);
      expect([ends.length, pool.holds(job)]).toEqual([1, true]);
      answer();
      await pass(10);

      expect(messages()).toEqual([]);
      expect(pool.holds(job)).toBe(false);
      expect(completed).toEqual(end === 'completed' ? ['a'] : []);
      expect(failed).toEqual(end === 'failed' ? ['a'] : []);
      await close();
    },
  );
});

type Setup = ReturnType<typeof setup>;
