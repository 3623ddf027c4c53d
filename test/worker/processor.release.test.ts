import { DelayedError, UnrecoverableError, WaitingError } from 'bullmq';

import { LOCK_LOST } from '../../src/queue/backend.ts';
import type { Outcome } from '../../src/worker/seek/classify.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import {
  ACCEPTED_AT,
  attempted,
  DEAD,
  DEFERRED,
  DURATION_MS,
  HOUR_MS,
  LOCK,
  RELEASED,
  RETRY,
  STARTED_AT,
  setup,
} from './setupProcessor.ts';

describe('released signal', () => {
  it('→ is requeued under its lock and spends no attempt', async () => {
    const { fail, updates, requeuedWith, counted, logs } = setup({ result: RELEASED });

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);

    expect(requeuedWith).toEqual([LOCK]);
    expect([updates, counted, logs.lines()]).toEqual([[], [], []]);
  });

  it('whose worker stops → is requeued', async () => {
    const { fail, aborter, requeuedWith } = setup({ result: RELEASED });
    aborter.abort('stopping');

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect(requeuedWith).toEqual([LOCK]);
  });

  it('whose lock was lost → is not moved, because another worker holds it', async () => {
    const { fail, aborter, requeuedWith, updates } = setup({ result: RELEASED });
    aborter.abort(LOCK_LOST);

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect([requeuedWith, updates]).toEqual([[], []]);
  });
});

describe('deferred signal', () => {
  it('→ is delayed for a second and spends no attempt', async () => {
    const { fail, updates, delayedWith, requeuedWith, counted, deferred, logs } = setup({
      result: DEFERRED,
    });

    await expect(fail()).resolves.toBeInstanceOf(DelayedError);

    expect(delayedWith).toEqual([[ACCEPTED_AT + HOUR_MS + DURATION_MS + 1_000, LOCK]]);
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
    expect([requeuedWith, counted]).toEqual([[], []]);
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
    const { fail, updates, delayedWith } = setup({
      result: DEFERRED,
      job: { data: buildSignalJob({ deferrals, nextAttemptAt: STARTED_AT }) },
    });

    await fail();

    const dueAt = ACCEPTED_AT + HOUR_MS + DURATION_MS + waits;
    expect(delayedWith).toEqual([[dueAt, LOCK]]);
    expect(updates).toMatchObject([
      { deferrals: deferrals + 1, nextAttemptAt: new Date(dueAt).toISOString(), attempts: [] },
    ]);
  });

  it.each<{ outcome: Outcome }>([{ outcome: RETRY }, { outcome: DEAD }])(
    'then attempted with outcome $outcome.kind → its count of deferrals starts again',
    async ({ outcome }) => {
      const { fail, updates } = setup({
        result: attempted(outcome),
        job: {
          data: buildSignalJob({
            deferrals: 3,
            lastDeferral: { at: STARTED_AT, code: 'RATE_LIMITED', reason: 'Slow down' },
          }),
        },
      });

      await fail();

      expect(updates).toHaveLength(1);
      expect(updates[0]).not.toHaveProperty('deferrals');
      expect(updates[0]).not.toHaveProperty('lastDeferral');
    },
  );

  it('whose data cannot be written → is delayed all the same', async () => {
    const { fail, delayedWith } = setup({
      result: DEFERRED,
      jobData: { write: () => Promise.reject(new Error('OOM command not allowed')) },
    });

    await expect(fail()).resolves.toBeInstanceOf(DelayedError);
    expect(delayedWith).toHaveLength(1);
  });

  it('whose lock was lost → is neither moved nor written', async () => {
    const { fail, aborter, delayedWith, updates } = setup({ result: DEFERRED });
    aborter.abort(LOCK_LOST);

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect([delayedWith, updates]).toEqual([[], []]);
  });

  it('at its last attempt → is delayed, not dead', async () => {
    const { fail } = setup({ result: DEFERRED, job: { attemptsMade: 24 } });

    await expect(fail()).resolves.toBeInstanceOf(DelayedError);
  });

  it('as old as the maximum age → is dead, with the deferral as the reason', async () => {
    const { fail, updates, delayedWith } = setup({ result: DEFERRED, ageMs: 72 * HOUR_MS });
    const reason = 'Slow down (given up after 72 hours)';

    const error = await fail();

    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(error).toHaveProperty('message', `RATE_LIMITED: ${reason}`);
    expect(updates).toMatchObject([
      { attempts: [{ outcome: 'dead', code: 'RATE_LIMITED', reason }] },
    ]);
    expect(delayedWith).toEqual([]);
  });

  it('redriven an hour ago → its age counts from the redrive', async () => {
    const redrivenAt = new Date(ACCEPTED_AT + 99 * HOUR_MS).toISOString();
    const { fail } = setup({
      result: DEFERRED,
      job: { data: buildSignalJob({ redrivenAt, redrives: 1 }) },
      ageMs: 100 * HOUR_MS,
    });

    await expect(fail()).resolves.toBeInstanceOf(DelayedError);
  });

  it('with a code that SEEK made up → is counted under OTHER', async () => {
    const { fail, deferred } = setup({ result: { ...DEFERRED, code: 'made up' } });

    await fail();

    expect(deferred).toEqual([{ code: 'OTHER' }]);
  });
});
