import type { Outcome } from '../../src/worker/seek/classify.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import {
  ACCEPTED_AT,
  attempted,
  DEAD,
  DEFERRED,
  DURATION_MS,
  HOUR_MS,
  RELEASED,
  RETRY,
  STARTED_AT,
  setup,
} from './setupAttempts.ts';

describe('released signal', () => {
  it('→ is requeued and spends no attempt', async () => {
    const { run, ends, updates, counted, logs } = setup({ result: RELEASED });

    await run();

    expect(ends).toEqual([['requeue', 'signal-1']]);
    expect([updates, counted, logs.lines()]).toEqual([[], [], []]);
  });

  it('that the queue does not take back → is not held any more, and spends no attempt', async () => {
    const { run, pool, job, updates, counted } = setup({
      result: RELEASED,
      source: { requeue: () => Promise.reject(new Error('Missing lock for job')) },
    });

    await run();

    expect([pool.holds(job), updates, counted]).toEqual([false, [], []]);
  });
});

describe('deferred signal', () => {
  it('→ is delayed for a second and spends no attempt', async () => {
    const { run, ends, updates, counted, deferred, logs } = setup({ result: DEFERRED });

    await run();

    expect(ends).toEqual([['delay', 'signal-1', ACCEPTED_AT + HOUR_MS + DURATION_MS + 1_000]]);
    expect(updates).toEqual([
      {
        ...buildSignalJob(),
        deferrals: 1,
        lastDeferral: {
          at: new Date(ACCEPTED_AT + HOUR_MS + DURATION_MS).toISOString(),
          code: 'RATE_LIMITED',
          reason: 'Slow down',
        },
        nextAttemptAt: new Date(ACCEPTED_AT + HOUR_MS + DURATION_MS + 1_000).toISOString(),
      },
    ]);
    expect(counted).toEqual([]);
    expect(deferred).toEqual([{ code: 'RATE_LIMITED' }]);
    expect(logs.lines()).toMatchObject([
      {
        level: 'info',
        msg: 'signal.deferred',
        signalId: 'signal-1',
        typeCode: 'ApplicationStatusUpdate',
        code: 'RATE_LIMITED',
        reason: 'Slow down',
      },
    ]);
  });

  it.each([
    { deferrals: 1, waits: 2_000 },
    { deferrals: 2, waits: 4_000 },
    { deferrals: 5, waits: 32_000 },
    { deferrals: 6, waits: 60_000 },
    { deferrals: 7, waits: 60_000 },
    { deferrals: 5_000, waits: 60_000 },
  ])('after $deferrals deferrals in a row → waits $waits ms', async ({ deferrals, waits }) => {
    const { run, updates, ends } = setup({
      result: DEFERRED,
      job: { data: buildSignalJob({ deferrals, nextAttemptAt: STARTED_AT }) },
    });

    await run();

    const dueAt = ACCEPTED_AT + HOUR_MS + DURATION_MS + waits;
    expect(ends).toEqual([['delay', 'signal-1', dueAt]]);
    expect(updates).toMatchObject([
      { deferrals: deferrals + 1, nextAttemptAt: new Date(dueAt).toISOString(), attempts: [] },
    ]);
  });

  it.each<{ outcome: Outcome }>([{ outcome: RETRY }, { outcome: DEAD }])(
    'then attempted with outcome $outcome.kind → its count of deferrals starts again',
    async ({ outcome }) => {
      const { run, updates } = setup({
        result: attempted(outcome),
        job: {
          data: buildSignalJob({
            deferrals: 3,
            lastDeferral: { at: STARTED_AT, code: 'RATE_LIMITED', reason: 'Slow down' },
          }),
        },
      });

      await run();

      expect(updates).toHaveLength(1);
      expect(updates[0]).not.toHaveProperty('deferrals');
      expect(updates[0]).not.toHaveProperty('lastDeferral');
    },
  );

  it('whose data cannot be written → is delayed all the same', async () => {
    const { run, ends } = setup({
      result: DEFERRED,
      jobData: { write: () => Promise.reject(new Error('OOM command not allowed')) },
    });

    await run();

    expect(ends).toEqual([['delay', 'signal-1', expect.any(Number)]]);
  });

  it('that another worker holds by now → is not moved, and not held any more', async () => {
    const { run, job, pool, loseLock, ends, updates } = setup({
      result: () => {
        loseLock(job);
        return DEFERRED;
      },
    });

    await run();

    expect([ends, updates, pool.holds(job)]).toEqual([[], [], false]);
  });

  it('that the queue does not move → is not held any more, and spends no attempt', async () => {
    const { run, pool, job, counted } = setup({
      result: DEFERRED,
      source: { delay: () => Promise.reject(new Error('Missing lock for job')) },
    });

    await run();

    expect([pool.holds(job), counted]).toEqual([false, []]);
  });

  it('at its last attempt → is delayed, not dead', async () => {
    const { run, ends } = setup({ result: DEFERRED, job: { attemptsMade: 24 } });

    await run();

    expect(ends.map(([how]) => how)).toEqual(['delay']);
  });

  it('as old as the maximum age → is dead, with the deferral as the reason', async () => {
    const { run, updates, ends } = setup({ result: DEFERRED, ageMs: 72 * HOUR_MS });
    const reason = 'Slow down (given up after 72 hours)';

    await run();

    expect(ends).toEqual([['fail', 'signal-1', `RATE_LIMITED: ${reason}`]]);
    expect(updates).toMatchObject([
      { attempts: [{ outcome: 'dead', code: 'RATE_LIMITED', reason }] },
    ]);
  });

  it('redriven an hour ago → its age counts from the redrive', async () => {
    const redrivenAt = new Date(ACCEPTED_AT + 99 * HOUR_MS).toISOString();
    const { run, ends } = setup({
      result: DEFERRED,
      job: { data: buildSignalJob({ redrivenAt, redrives: 1 }) },
      ageMs: 100 * HOUR_MS,
    });

    await run();

    expect(ends.map(([how]) => how)).toEqual(['delay']);
  });

  it('with a code that SEEK made up → is counted under OTHER', async () => {
    const { run, deferred } = setup({ result: { ...DEFERRED, code: 'made up' } });

    await run();

    expect(deferred).toEqual([{ code: 'OTHER' }]);
  });

  it('for want of a key → is logged as a warning, because an operator must configure it', async () => {
    const { run, logs } = setup({ result: { ...DEFERRED, code: 'TOKEN_KEY' } });

    await run();

    expect(logs.lines()).toMatchObject([{ level: 'warn', msg: 'signal.deferred' }]);
  });
});
