import { EventEmitter } from 'node:events';
import { DelayedError, type Job, WaitingError } from 'bullmq';

import { LOCK_LOST, type Process } from '../../src/queue/backend.ts';
import { startBullWorker } from '../../src/queue/bullWorker.ts';

import { captureLogs } from '../support/captureLogs.ts';
import { waitFor } from '../support/waitFor.ts';

const { jest } = import.meta;

const OPTIONS = { concurrency: 8 };
const job = (id: string, change: object = {}) => ({ id, ...change }) as Job;

/** As much of a BullMQ worker as we lean on, with its loop under the test's thumb. */
const setup = ({ process = async () => 'done', isReachable = true, endsOnPause = true } = {}) => {
  const events = new EventEmitter();
  const calls: unknown[][] = [];
  let running = true;
  let resumes = 0;
  let own: Process = async () => {};
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
      // The first one finds the loop just ending, and is lost.
      if (resumes > 1) running = true;
    },
    isRunning: () => running,
  });
  const jobWorker = startBullWorker(
    (given) => {
      own = given;
      return worker;
    },
    process,
    OPTIONS,
    { logger: captureLogs().logger, isReachable: () => isReachable },
  );
  const run = (id: string, change: object = {}) =>
    own(job(id, change), 'lock', new AbortController().signal);

  return { jobWorker, worker, events, calls, run, processor: () => own };
};

describe('a worker on BullMQ', () => {
  it('declares three parameters, or it would never be told to abort', () => {
    expect(setup().processor()).toHaveLength(3);
  });

  it('tells the processor of a job whose lock was lost, and of no other', () => {
    const { events, calls } = setup();

    events.emit('lockRenewalFailed', ['lost-1', 'lost-2']);

    expect(calls).toEqual([
      ['cancelJob', 'lost-1', LOCK_LOST],
      ['cancelJob', 'lost-2', LOCK_LOST],
    ]);
  });

  it('takes no jobs at 0, so many at less than its concurrency, and never more than that', () => {
    const { jobWorker, worker, calls } = setup({ endsOnPause: false });

    jobWorker.setConcurrency(0);
    jobWorker.setConcurrency(1);
    const one = worker.concurrency;
    jobWorker.setConcurrency(99);

    expect(calls).toEqual([['pause', true], ['resume'], ['resume']]);
    expect([one, worker.concurrency]).toEqual([1, 8]);
  });

  it('wakes a loop again that was just ending when it was first woken', async () => {
    const { jobWorker, worker, calls } = setup();

    jobWorker.setConcurrency(0);
    jobWorker.setConcurrency(8);
    await waitFor(() => worker.isRunning());

    expect(calls.filter(([name]) => name === 'resume')).toHaveLength(2);
  });

  it('rests where Redis refuses what it is asked, and turns all the same', async () => {
    jest.useFakeTimers();
    try {
      const { jobWorker, events, calls } = setup({ endsOnPause: false });
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

  it('stays paused after its rest where it was told to take nothing meanwhile', async () => {
    jest.useFakeTimers();
    try {
      const { jobWorker, events, calls } = setup();

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

  it('takes a job again only when its own earlier run of it has ended', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { run } = setup({ process: () => gate.then(() => 'done') });
    const putOff: unknown[] = [];
    const moveToDelayed = async (...given: unknown[]) => {
      putOff.push(given.at(1));
    };

    const first = run('a');
    await expect(run('a', { moveToDelayed })).rejects.toBeInstanceOf(DelayedError);
    const unmovable = { moveToDelayed: () => Promise.reject(new Error('Missing lock for job')) };
    await expect(run('a', unmovable)).rejects.toBeInstanceOf(DelayedError);
    release();

    await expect(first).resolves.toBe('done');
    await expect(run('a', { moveToDelayed })).resolves.toBe('done');
    expect(putOff).toEqual(['lock']);
  });

  it('wakes nothing once it closes', async () => {
    const { jobWorker, calls } = setup();

    await jobWorker.close();
    jobWorker.setConcurrency(0);
    jobWorker.setConcurrency(8);

    expect(calls).toEqual([['close', false]]);
  });

  it('tells a job that begins only when the worker closes to let go', async () => {
    const { run, jobWorker, calls } = setup();

    await jobWorker.close();
    await run('late');

    expect(calls.at(-1)).toEqual(['cancelJob', 'late', 'stopping']);
  });

  it.each([
    ['nothing was ever in hand', async () => {}],
    ['what was in hand is completed', async (t: Setup) => t.events.emit('completed', job('a'))],
    ['what was in hand has failed', async (t: Setup) => t.events.emit('failed', job('a'))],
    ['its lock was lost', async (t: Setup) => t.events.emit('lockRenewalFailed', ['a'])],
  ])('leaves without asking an absent Redis when %s', async (what, end) => {
    const subject = setup({ isReachable: false });
    if (!what.startsWith('nothing')) await subject.run('a');

    await end(subject);
    await subject.jobWorker.close();

    expect(subject.calls.at(-1)).toEqual(['close', true]);
  });

  it.each([
    ['handed back', () => new WaitingError()],
    ['put off', () => new DelayedError()],
  ])('counts what was %s as no longer in hand, though no event tells of it', async (_, make) => {
    const failing = () => Promise.reject(make());
    const { run, jobWorker, calls } = setup({ isReachable: false, process: failing });

    await expect(run('a')).rejects.toThrow();
    await jobWorker.close();

    expect(calls).toEqual([['close', true]]);
  });

  it('waits for Redis while it has something to tell it', async () => {
    const { run, jobWorker, calls } = setup({ isReachable: false });

    await run('a');
    await jobWorker.close();

    expect(calls).toEqual([['close', false]]);
  });

  it('turns with every job that it takes up and lets go', async () => {
    const { run, jobWorker, events } = setup();
    const turns = [jobWorker.lastActivityAt()];

    await run('a');
    turns.push(jobWorker.lastActivityAt());
    events.emit('completed', job('a'));
    turns.push(jobWorker.lastActivityAt());
    events.emit('drained');
    turns.push(jobWorker.lastActivityAt());

    expect(turns).toEqual([...turns].sort((a, b) => a - b));
    expect(new Set(turns).size).toBe(4);
  });
});

type Setup = ReturnType<typeof setup>;
