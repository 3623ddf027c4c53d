import { EventEmitter } from 'node:events';
import { DelayedError, type Job, WaitingError } from 'bullmq';
import { type JobProcessor, LOCK_LOST } from '../../src/queue/backend.ts';
import { startBullWorker } from '../../src/queue/bullWorker.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { waitFor } from '../support/waitFor.ts';

const { jest } = import.meta;

const OPTIONS = { concurrency: 8 };
const job = (id: string, change: object = {}) => ({ id, ...change }) as Job;

/** The part of a BullMQ worker that we use. The test controls its loop. */
const setup = async ({
  process = async () => 'done',
  isReachable = true,
  endsOnPause = true,
  readiness = [] as (Error | undefined)[],
} = {}) => {
  const events = new EventEmitter();
  const calls: unknown[][] = [];
  let running = false;
  let resumes = 0;
  let starts = 0;
  let runs = 0;
  let processor: JobProcessor = async () => {};
  const worker = Object.assign(events, {
    concurrency: OPTIONS.concurrency,
    close: async (force?: boolean) => {
      calls.push(['close', force]);
    },
    cancelAllJobs: (reason?: string) => calls.push(['cancelAllJobs', reason]),
    cancelJob: (id: string, reason?: string) => {
      calls.push(['cancelJob', id, reason]);
      return true;
    },
    pause: async (doNotWait?: boolean) => {
      calls.push(['pause', doNotWait]);
      if (endsOnPause) running = false;
    },
    resume: async () => {
      resumes += 1;
      calls.push(['resume']);
      // The first call meets a loop that is ending, and has no effect.
      if (resumes > 1) running = true;
    },
    run: async () => {
      running = true;
      runs += 1;
    },
    isPaused: () => false,
    isRunning: () => running,
    waitUntilReady: async () => {
      const failure = readiness.shift();
      if (failure !== undefined) throw failure;
    },
  });
  const jobWorker = startBullWorker(
    (given) => {
      processor = given;
      starts += 1;
      return worker;
    },
    process,
    OPTIONS,
    { logger: captureLogs().logger, isReachable: () => isReachable },
  );
  const run = (id: string, change: object = {}) =>
    processor(job(id, change), 'lock', new AbortController().signal);

  // Lets the worker become ready.
  await Promise.resolve();
  return {
    jobWorker,
    worker,
    events,
    calls,
    run,
    processor: () => processor,
    counts: () => ({ starts, runs }),
  };
};

describe('a worker on BullMQ', () => {
  it('starts → its processor declares the three parameters that BullMQ needs to pass an abort signal', async () => {
    expect((await setup()).processor()).toHaveLength(3);
  });

  it('BullMQ cannot start it, because Redis refuses a command → another replaces it after a second', async () => {
    jest.useFakeTimers();
    try {
      const refusal = new Error("NOPERM this user has no permissions to run the 'info' command");
      const { calls, counts } = await setup({ readiness: [refusal, refusal] });
      const before = counts();
      await jest.advanceTimersByTimeAsync(2_000);

      expect(before).toEqual({ starts: 1, runs: 0 });
      expect(counts()).toEqual({ starts: 3, runs: 1 });
      expect(calls).toEqual([
        ['close', true],
        ['close', true],
      ]);
    } finally {
      jest.useRealTimers();
    }
  });

  it('concurrency is 0 when it becomes ready → its loop does not start', async () => {
    const { jobWorker, counts, calls } = await setup({ readiness: [new Error('NOPERM')] });

    jobWorker.setConcurrency(0);
    await waitFor(() => counts().starts === 2);
    const before = counts().runs;
    jobWorker.setConcurrency(8);
    await waitFor(() => calls.some(([name]) => name === 'resume'));

    expect(before).toBe(0);
  });

  it('loses the locks of two jobs → cancels these two jobs only', async () => {
    const { events, calls } = await setup();

    events.emit('lockRenewalFailed', ['lost-1', 'lost-2']);

    expect(calls).toEqual([
      ['cancelJob', 'lost-1', LOCK_LOST],
      ['cancelJob', 'lost-2', LOCK_LOST],
    ]);
  });

  it('concurrency is set to 0, 1 or more than configured → pauses, runs one job, runs as many as configured', async () => {
    const { jobWorker, worker, calls } = await setup({ endsOnPause: false });

    jobWorker.setConcurrency(0);
    jobWorker.setConcurrency(1);
    const one = worker.concurrency;
    jobWorker.setConcurrency(99);

    expect(calls).toEqual([['pause', true], ['resume'], ['resume']]);
    expect([one, worker.concurrency]).toEqual([1, 8]);
  });

  it('is resumed while its loop is ending → is resumed again', async () => {
    const { jobWorker, worker, calls } = await setup();

    jobWorker.setConcurrency(0);
    jobWorker.setConcurrency(8);
    await waitFor(() => worker.isRunning());

    expect(calls.filter(([name]) => name === 'resume')).toHaveLength(2);
  });

  it('Redis rejects its commands → pauses for a second, and records activity', async () => {
    jest.useFakeTimers();
    try {
      const { jobWorker, events, calls } = await setup({ endsOnPause: false });
      const before = jobWorker.lastActivityAt();
      const refusal = Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' });

      jest.advanceTimersByTime(10);
      events.emit('error', refusal);
      events.emit('error', refusal);
      expect(jobWorker.lastActivityAt()).toBeGreaterThan(before);
      expect(calls).toEqual([['pause', true]]);
      await jest.advanceTimersByTimeAsync(1_000);

      expect(calls).toEqual([['pause', true], ['resume']]);
    } finally {
      jest.useRealTimers();
    }
  });

  it('concurrency is set to 0 during the pause after an error → stays paused', async () => {
    jest.useFakeTimers();
    try {
      const { jobWorker, events, calls } = await setup();

      events.emit('error', Object.assign(new Error('OOM'), { name: 'ReplyError' }));
      jobWorker.setConcurrency(0);
      await jest.advanceTimersByTimeAsync(10_000);

      expect(calls).toEqual([
        ['pause', true],
        ['pause', true],
      ]);
    } finally {
      jest.useRealTimers();
    }
  });

  it('receives a job that it still runs → delays the job until its first run has ended', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { run } = await setup({ process: () => gate.then(() => 'done') });
    const delayedWith: unknown[] = [];
    const moveToDelayed = async (...given: unknown[]) => {
      delayedWith.push(given.at(1));
    };

    const first = run('a');
    await expect(run('a', { moveToDelayed })).rejects.toBeInstanceOf(DelayedError);
    const unmovable = { moveToDelayed: () => Promise.reject(new Error('Missing lock for job')) };
    await expect(run('a', unmovable)).rejects.toBeInstanceOf(DelayedError);
    release();

    await expect(first).resolves.toBe('done');
    await expect(run('a', { moveToDelayed })).resolves.toBe('done');
    expect(delayedWith).toEqual(['lock']);
  });

  it('concurrency changes after close → no resume', async () => {
    const { jobWorker, calls } = await setup();

    await jobWorker.close();
    jobWorker.setConcurrency(0);
    jobWorker.setConcurrency(8);

    expect(calls).toEqual([['close', false]]);
  });

  it('a job starts after close → the job is cancelled', async () => {
    const { run, jobWorker, calls } = await setup();

    await jobWorker.close();
    await run('late');

    expect(calls.at(-1)).toEqual(['cancelJob', 'late', 'stopping']);
  });

  it.each([
    ['no job ever ran', async () => {}],
    ['its job has completed', async (t: Setup) => t.events.emit('completed', job('a'))],
    ['its job has failed', async (t: Setup) => t.events.emit('failed', job('a'))],
    ['the lock of its job was lost', async (t: Setup) => t.events.emit('lockRenewalFailed', ['a'])],
  ])('closes without Redis, and %s → does not wait for Redis', async (what, end) => {
    const subject = await setup({ isReachable: false });
    if (!what.startsWith('no job')) await subject.run('a');

    await end(subject);
    await subject.jobWorker.close();

    expect(subject.calls.at(-1)).toEqual(['close', true]);
  });

  it.each([
    ['requeued', () => new WaitingError()],
    ['deferred', () => new DelayedError()],
  ])('its job was %s without an event → close does not wait for Redis', async (_, make) => {
    const failing = () => Promise.reject(make());
    const { run, jobWorker, calls } = await setup({ isReachable: false, process: failing });

    await expect(run('a')).rejects.toThrow();
    await jobWorker.close();

    expect(calls).toEqual([['close', true]]);
  });

  it('closes while a job is in flight → waits for Redis', async () => {
    const { run, jobWorker, calls } = await setup({ isReachable: false });

    await run('a');
    await jobWorker.close();

    expect(calls).toEqual([['close', false]]);
  });

  it('takes or ends a job, or drains the queue → records activity', async () => {
    const { run, jobWorker, events } = await setup();
    const times = [jobWorker.lastActivityAt()];

    await run('a');
    times.push(jobWorker.lastActivityAt());
    events.emit('completed', job('a'));
    times.push(jobWorker.lastActivityAt());
    events.emit('drained');
    times.push(jobWorker.lastActivityAt());

    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(new Set(times).size).toBe(4);
  });
});

type Setup = Awaited<ReturnType<typeof setup>>;
