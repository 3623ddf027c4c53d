import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import type { Outcome } from '../../src/worker/seek/classify.ts';
import { buildTakenJob } from '../support/memoryJobSource.ts';
import { attempted, DEAD, DEFERRED, DELIVERED, RELEASED, RETRY, setup } from './setupAttempts.ts';

describe('attempt that ended with an internal error', () => {
  const FAULT: Outcome = { kind: 'retry', code: 'FAULT', reason: 'internal error: TypeError' };

  it('→ is retried like others', async () => {
    const { run, updates, ends } = setup({ result: attempted(FAULT) });

    await run();

    expect(ends).toEqual([['retry', 'signal-1', 'FAULT: internal error: TypeError', 2_000]]);
    expect(updates).toMatchObject([{ attempts: [{ outcome: 'retry', code: 'FAULT' }] }]);
  });

  it('at the last attempt → is dead', async () => {
    const { run, ends } = setup({ result: attempted(FAULT), job: { attemptsMade: 24 } });

    await run();

    expect(ends.map(([how]) => how)).toEqual(['fail']);
  });
});

describe('job that another worker holds by now', () => {
  it.each<{ what: string; result: DeliveryResult }>([
    { what: 'delivered', result: DELIVERED },
    { what: 'skipped', result: attempted({ kind: 'skipped', reason: 'no-token' }) },
    { what: 'retry', result: attempted(RETRY) },
    { what: 'dead', result: attempted(DEAD) },
    { what: 'deferred', result: DEFERRED },
    { what: 'released', result: RELEASED },
  ])(
    '$what after its lock was lost → nothing is written, ended, counted or logged',
    async (row) => {
      const subject = setup({
        result: () => {
          subject.lose();
          return row.result;
        },
      });
      const { run, ends, updates, records, counted, deferred, logs } = subject;

      await run();

      expect([ends, updates, records, counted, deferred]).toEqual([[], [], [], [], []]);
      expect(logs.text()).toBe('');
    },
  );

  it.each<{ outcome: Outcome }>([{ outcome: RETRY }, { outcome: DEAD }])(
    'write refused after outcome $outcome.kind → job is left to the other worker',
    async ({ outcome }) => {
      const { run, ends, pool, job } = setup({
        result: attempted(outcome),
        jobData: { write: async () => false },
      });

      await run();

      expect([ends, pool.holds(job)]).toEqual([[], false]);
    },
  );

  it.each<{ outcome: Outcome }>([
    { outcome: { kind: 'delivered' } },
    { outcome: { kind: 'skipped', reason: 'no-token' } },
  ])('completion refused after outcome $outcome.kind → is not logged or counted', async (row) => {
    const subject = setup({
      result: () => {
        subject.loseLock(subject.job);
        return attempted(row.outcome);
      },
    });
    const { run, ends, counted, logs } = subject;

    await run();

    expect([ends, counted]).toEqual([[], []]);
    expect(logs.lines()).toMatchObject([{ level: 'warn', msg: 'job.lockLost', jobId: 'signal-1' }]);
  });
});

describe('fault of the queue', () => {
  it.each<{ outcome: Outcome; how: string }>([
    { outcome: RETRY, how: 'retry' },
    { outcome: DEAD, how: 'fail' },
  ])('write fails after outcome $outcome.kind → the job ends all the same', async (row) => {
    const { run, ends } = setup({
      result: attempted(row.outcome),
      jobData: { write: () => Promise.reject(new Error('OOM command not allowed')) },
    });

    await run();

    expect(ends.map(([how]) => how)).toEqual([row.how]);
  });

  it.each<{ method: 'retry' | 'fail'; outcome: Outcome }>([
    { method: 'retry', outcome: RETRY },
    { method: 'fail', outcome: DEAD },
  ])('$method rejects → the job is not held any more', async ({ method, outcome }) => {
    const { run, pool, job, failed } = setup({
      result: attempted(outcome),
      source: { [method]: () => Promise.reject(new Error('Connection is closed.')) },
    });

    await run();

    expect([pool.holds(job), failed]).toEqual([false, []]);
  });
});

describe('fault of ours while an attempt ends', () => {
  const inc = () => {
    throw new TypeError('bug with seek-token-1');
  };

  it('→ the job is not held any more, and the log names it without the message', async () => {
    const { run, pool, job, ends, logs } = setup({
      result: attempted(RETRY),
      metrics: { attempts: { inc } },
    });

    await run();

    expect([pool.holds(job), ends]).toEqual([false, []]);
    expect(logs.lines()).toMatchObject([
      {
        level: 'error',
        msg: 'Failed to end an attempt',
        signalId: 'signal-1',
        fault: 'TypeError',
      },
    ]);
    expect(logs.text()).not.toContain('seek-token-1');
  });

  it('while a completed job is reported → the others of its exchange are reported, and none is repeated', async () => {
    let reports = 0;
    const countOne = () => {
      reports += 1;
      inc();
    };
    const { run, ends, job, logs } = setup({ metrics: { attempts: { inc: countOne } } });

    await run(job, buildTakenJob({ id: 'other' }));

    expect(ends.map(([how, id]) => `${id} ${how}`)).toEqual([
      'signal-1 complete',
      'other complete',
    ]);
    expect(reports).toBe(2);
    expect(logs.lines()).toMatchObject([
      { level: 'error', msg: 'Failed to report a completed job' },
    ]);
  });
});
