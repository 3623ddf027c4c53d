import type { Exchange, JobSource, TakenJob } from '../../src/queue/jobSource.ts';
import { buildTakenJob } from '../support/memoryJobSource.ts';
import { buildJobs, pass, settle, setupPool, useTime } from './setupJobPool.ts';

useTime();

/** The first `count` calls reject. */
const failing = <Args extends unknown[], T>(
  count: number,
  call: (...args: Args) => Promise<T>,
  err = new Error('OOM command not allowed'),
) => {
  let calls = 0;
  const run = (...args: Args): Promise<T> => {
    calls += 1;
    return calls > count ? call(...args) : Promise.reject(err);
  };
  return { run, calls: () => calls };
};

describe('jobs', () => {
  it('several wait → are run as one set, and complete in one exchange', async () => {
    const { start, add, sets, complete, completed, ends, close } = setupPool();
    const jobs = buildJobs('a', 'b', 'c');
    add(...jobs);
    await start();

    complete(...jobs);
    await pass(10);

    expect(sets()).toEqual([['a', 'b', 'c']]);
    expect(ends).toEqual(['a', 'b', 'c'].map((id) => ['complete', id, { done: id }]));
    expect(completed).toEqual(['a', 'b', 'c']);
    await close();
  });

  it('one of a set completes, and another never ends → does not wait for it', async () => {
    const { start, add, complete, completed, close } = setupPool();
    const [fast, stuck] = buildJobs('fast', 'stuck');
    if (fast === undefined || stuck === undefined) throw new Error('Expected jobs');
    add(fast, stuck);
    await start();

    complete(fast);
    await pass(10);

    expect(completed).toEqual(['fast']);
    await close();
  });

  it('are retried, failed, delayed or requeued → each ends once, and is no longer held', async () => {
    const { start, add, pool, ends, failed, close } = setupPool();
    const jobs = buildJobs('a', 'b', 'c', 'd');
    add(...jobs);
    const [a, b, c, d] = jobs;
    if (!a || !b || !c || !d) throw new Error('Expected jobs');
    await start();

    await pool.retry(a, 'TIMEOUT', 500);
    await pool.fail(b, 'FORBIDDEN');
    await pool.delay(c, 1_000);
    await pool.requeue(d);
    for (const job of jobs) await pool.fail(job, 'again');

    expect(ends).toEqual([
      ['retry', 'a', 'TIMEOUT', 500],
      ['fail', 'b', 'FORBIDDEN'],
      ['delay', 'c', 1_000],
      ['requeue', 'd'],
    ]);
    expect(failed).toEqual(['b']);
    expect(jobs.some(pool.holds)).toBe(false);
    await close();
  });

  it('the queue rejects the end of one → is logged, and no longer held', async () => {
    const fail = () => Promise.reject(new Error('Missing lock for job a'));
    const { start, add, pool, failed, messages, close } = setupPool({ fail });
    const [job = buildTakenJob()] = buildJobs('a');
    add(job);
    await start();

    await pool.fail(job, 'FORBIDDEN');

    expect([pool.holds(job), failed]).toEqual([false, []]);
    expect(messages()).toEqual(['Failed to end a job; it will be repeated']);
    await close();
  });

  it('the run of a set fails by a fault → its jobs are no longer held, and others are run', async () => {
    const { start, add, pool, sets, messages, close } = setupPool();
    const jobs = buildJobs('a', 'b');
    add(...jobs);
    await start(async ([first]) => {
      if (first?.id === 'a') throw new Error('a fault');
    });

    add(...buildJobs('c'));
    await pass(10);

    expect(jobs.some(pool.holds)).toBe(false);
    expect(sets()).toEqual([['a', 'b'], ['c']]);
    expect(messages()).toEqual(['Failed to run jobs; they will be repeated']);
    await close();
  });

  it('may not be run, because the master is in doubt → are not run, and no longer held', async () => {
    const confirm: JobSource['confirm'] = async (jobs) => jobs.filter(({ id }) => id !== 'b');
    const { start, add, pool, sets, close } = setupPool({ confirm });
    const jobs = buildJobs('a', 'b', 'c');
    add(...jobs);

    await start();

    expect(sets()).toEqual([['a', 'c']]);
    expect(jobs.map(pool.holds)).toEqual([true, false, true]);
    await close();
  });
});

describe('locks that are lost', () => {
  it('another worker completes the job meanwhile → it is not reported as completed', async () => {
    const { start, add, loseLock, complete, completed, messages, close } = setupPool();
    const jobs = buildJobs('a', 'b');
    add(...jobs);
    await start();
    if (jobs[0]) loseLock(jobs[0]);

    complete(...jobs);
    await pass(10);

    expect(completed).toEqual(['b']);
    expect(messages()).toEqual(['job.lockLost']);
    await close();
  });

  it('this worker takes the job again while it runs it → only the new run may end it', async () => {
    const { start, add, loseLock, pool, sets, complete, completed, ends, close } = setupPool();
    const [first, second] = ['1', '2'].map((lock) => buildTakenJob({ id: 'a', lock }));
    if (!first || !second) throw new Error('Expected jobs');
    add(first);
    await start();
    loseLock(first);

    add(second);
    await pass(10);
    complete(first);
    await pool.fail(first, 'FORBIDDEN');
    await pass(10);
    expect([sets(), pool.holds(first), pool.holds(second)]).toEqual([[['a'], ['a']], false, true]);
    complete(second);
    await pass(10);

    expect([completed, ends]).toEqual([['a'], [['complete', 'a', { done: 'a' }]]]);
    await close();
  });
});

describe('the queue refuses', () => {
  it('to be opened → tries again every second', async () => {
    const { run, calls } = failing(2, async () => {});
    const { start, add, sets, messages, close } = setupPool({ open: run });
    add(...buildJobs('a'));
    await start();
    expect([calls(), sets()]).toEqual([1, []]);

    await pass(1_000);
    await pass(1_000);

    expect([calls(), sets()]).toEqual([3, [['a']]]);
    expect(messages()).toEqual(['Failed to open the queue; trying again']);
    await close();
  });

  it('to be opened, until the worker closes → does not try again', async () => {
    const { run, calls } = failing(99, async () => {});
    const { start, pool } = setupPool({ open: run });
    await start();

    await pool.close();
    await pass(10_000);

    expect(calls()).toBe(1);
  });

  it('an exchange → pauses for a second, then completes the same jobs, and counts as activity', async () => {
    const subject = setupPool();
    const { exchange } = subject.source;
    let refused = 0;
    let isRefusing = false;
    subject.source.exchange = (...args) => {
      if (!isRefusing) return exchange(...args);
      refused += 1;
      return Promise.reject(new Error('OOM command not allowed'));
    };
    const { start, add, pool, complete, completed, messages, close } = subject;
    const jobs = buildJobs('a', 'b');
    add(...jobs);
    await start();
    const before = pool.lastActivityAt();
    isRefusing = true;

    complete(...jobs);
    await pass(100);
    await pass(800);
    expect([refused, completed, jobs.map(pool.holds)]).toEqual([1, [], [true, true]]);
    expect(pool.lastActivityAt()).toBeGreaterThan(before);
    isRefusing = false;
    await pass(200);

    expect(completed).toEqual(['a', 'b']);
    expect(messages()).toEqual(['Failed to exchange jobs with the queue; trying again']);
    await close();
  });

  it('an exchange, and capacity becomes 0 during the pause → takes no job after it', async () => {
    const { run } = failing(1, async (): Promise<Exchange> => {
      throw new Error('still refusing');
    });
    const { start, add, pool, countWaiting, close } = setupPool({ exchange: run });
    add(...buildJobs('a'));
    await start();

    pool.setCapacity(0);
    await pass(10_000);

    expect(countWaiting()).toBe(1);
    await close();
  });

  it('the wait for a job → pauses for a second, then waits again', async () => {
    const job = buildTakenJob();
    const { run, calls } = failing(1, async () => job);
    const waits: JobSource['waitForJob'] = () => (calls() < 2 ? run() : new Promise(() => {}));
    const { start, sets, messages } = setupPool({ waitForJob: waits });

    await start();
    expect(calls()).toBe(1);
    await pass(1_000);

    expect(sets()).toEqual([[job.id]]);
    expect(messages()).toEqual(['Failed to wait for a job; trying again']);
  });
});

describe('close', () => {
  it('jobs are held → waits until they have ended, and takes no more', async () => {
    const { start, add, pool, complete, completed, countWaiting, ends } = setupPool({}, 10);
    const jobs = buildJobs('a', 'b');
    add(...jobs);
    await start();
    let isClosed = false;

    const closing = pool.close().then(() => {
      isClosed = true;
    });
    add(...buildJobs('late'));
    pool.setCapacity(0);
    pool.setCapacity(10);
    complete(...jobs.slice(0, 1));
    await pass(5_000);
    expect([completed, isClosed]).toEqual([['a'], false]);
    complete(...jobs);
    await pass(10);
    await closing;

    expect(completed).toEqual(['a', 'b']);
    // The wait that was stopped may take a job, which goes back.
    expect(countWaiting()).toBe(0);
    expect(ends).toContainEqual(['requeue', 'late']);
  });

  it('an exchange is under way → the jobs that it takes go back without a run', async () => {
    const subject = setupPool();
    const { exchange } = subject.source;
    let answer = () => {};
    const gate = new Promise<void>((resolve) => {
      answer = resolve;
    });
    subject.source.exchange = async (...args) => {
      await gate;
      return exchange(...args);
    };
    subject.add(...buildJobs('a', 'b'));
    await subject.start();

    const closing = subject.pool.close();
    answer();
    await pass(10);
    await closing;

    expect(subject.sets()).toEqual([]);
    expect(subject.ends).toEqual([
      ['requeue', 'a'],
      ['requeue', 'b'],
    ]);
  });

  const never = () => new Promise<never>(() => {});

  it('Redis is away, and no job is held → does not wait for it', async () => {
    const { start, pool } = setupPool({ isReachable: () => false, exchange: never });
    await start();

    await pool.close();
  });

  it('Redis is away, and the lock of the last job was lost → does not wait for it', async () => {
    const { start, add, pool } = setupPool({ isReachable: () => false });
    const [job = buildTakenJob()] = buildJobs('a');
    add(job);
    await start();

    const closing = pool.close();
    pool.release(job);

    await closing;
  });

  it('Redis is away, and a job has completed → waits for Redis', async () => {
    const subject = setupPool({ isReachable: () => false });
    const jobs = buildJobs('a');
    subject.add(...jobs);
    await subject.start();
    const { exchange } = subject.source;
    let connect = () => {};
    const connected = new Promise<void>((resolve) => {
      connect = resolve;
    });
    subject.source.exchange = async (...args) => {
      await connected;
      return exchange(...args);
    };
    let isClosed = false;

    subject.complete(...jobs);
    const closing = subject.pool.close().then(() => {
      isClosed = true;
    });
    await pass(60_000);
    expect(isClosed).toBe(false);
    connect();
    await closing;

    expect(subject.completed).toEqual(['a']);
  });
});

describe('activity', () => {
  it('takes or ends a job → is recorded', async () => {
    const { start, add, pool, complete, close } = setupPool();
    const times = [pool.lastActivityAt()];
    const note = () => times.push(pool.lastActivityAt());
    const [a, b]: TakenJob[] = buildJobs('a', 'b');
    if (!a || !b) throw new Error('Expected jobs');

    await start();
    add(a, b);
    await settle();
    note();
    complete(a);
    await pass(10);
    note();
    await pool.requeue(b);
    note();

    expect(times).toEqual([...times].sort((x, y) => x - y));
    expect(new Set(times).size).toBe(4);
    await close();
  });

  it('a wait finds no job → is recorded', async () => {
    const { start, pool, source, close } = setupPool();
    await start();
    const before = pool.lastActivityAt();

    await source.stopWaiting();
    await settle();

    expect(pool.lastActivityAt()).toBeGreaterThan(before);
    await close();
  });
});
