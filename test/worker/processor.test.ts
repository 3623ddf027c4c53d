import { DelayedError, UnrecoverableError, WaitingError } from 'bullmq';

import { LOCK_LOST } from '../../src/queue/backend.ts';
import { JobResultSchema } from '../../src/schemas/signalJob.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import { RetryError } from '../../src/worker/processor.ts';
import type { Outcome } from '../../src/worker/seek/classify.ts';
import { buildSignal, buildSignalJob } from '../support/buildSignal.ts';
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
} from './setupProcessor.ts';

describe('processor', () => {
  it('declares three parameters, because BullMQ passes the abort signal only then', () => {
    expect(setup().processor).toHaveLength(3);
  });

  it('job → its parsed signal is delivered, with batching allowed and the abort signal passed on', async () => {
    const { process, deliveries, abort } = setup();

    await process();

    const inFlight = {
      signalId: 'signal-1',
      signal: buildSignal(),
      acceptedAt: buildSignalJob().acceptedAt,
      abort,
    };
    expect(deliveries).toEqual([[inFlight, 'allowed']]);
  });

  it.each<{ outcome: Outcome; more: object }>([
    { outcome: { kind: 'delivered' }, more: {} },
    { outcome: { kind: 'skipped', reason: 'no token' }, more: { reason: 'no token' } },
  ])('$outcome.kind → completes the job with its last attempt', async ({ outcome, more }) => {
    const { process, updates } = setup({ result: attempted(outcome) });

    await expect(process()).resolves.toEqual({
      outcome: outcome.kind,
      attempt: {
        at: STARTED_AT,
        requestId: 'request-1',
        outcome: outcome.kind,
        durationMs: DURATION_MS,
        ...more,
      },
    });
    expect(updates).toEqual([]);
  });
});

describe('answer without errors that is not true', () => {
  it.each([false, null, 0, 'absent'])(
    '%p → the attempt and the log have the value',
    async (value) => {
      const { process, logs } = setup({
        result: attempted({ kind: 'delivered' }, { seekAnswer: value }),
      });

      const result = await process();

      expect(result).toMatchObject({
        outcome: 'delivered',
        attempt: { outcome: 'delivered', seekAnswer: value },
      });
      expect(JobResultSchema.parse(JSON.parse(JSON.stringify(result)))).toEqual(result);
      expect(logs.lines()).toMatchObject([{ msg: 'signal.attempted', seekAnswer: value }]);
    },
  );
});

describe('retry', () => {
  it.each([
    { attemptsMade: 0, retryAfterMs: undefined, waits: 2_000 },
    { attemptsMade: 3, retryAfterMs: undefined, waits: 16_000 },
    { attemptsMade: 0, retryAfterMs: 60_000, waits: 60_000 },
    { attemptsMade: 3, retryAfterMs: 1_000, waits: 16_000 },
  ])(
    'after $attemptsMade earlier attempts, Retry-After $retryAfterMs ms → throws a RetryError that waits $waits ms',
    async (row) => {
      const { attemptsMade, retryAfterMs, waits } = row;
      const outcome = { ...RETRY, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
      const { fail, updates } = setup({ result: attempted(outcome), job: { attemptsMade } });

      const error = await fail();

      expect(error).toBeInstanceOf(RetryError);
      expect(error).toMatchObject({ backoffMs: waits, message: 'RATE_LIMITED: Too many' });
      expect(updates).toMatchObject([
        { nextAttemptAt: new Date(ACCEPTED_AT + HOUR_MS + DURATION_MS + waits).toISOString() },
      ]);
    },
  );

  it('errors of 400 KB → the log line is bounded', async () => {
    const errors = [
      {
        message: 'm'.repeat(200_000),
        extensions: { code: 'NEW', trace: Array(50_000).fill('at') },
      },
    ];
    const { fail, logs } = setup({ result: attempted(RETRY, { errors }) });

    await fail();

    expect(logs.lines()).toMatchObject([{ msg: 'signal.attempted', errors: expect.any(Array) }]);
    expect(logs.text().length).toBeLessThan(6_000);
  });

  it.each([
    { codes: [], made: 0, dies: false },
    { codes: Array(6).fill('HTTP_403'), made: 6, dies: false },
    { codes: Array(7).fill('HTTP_403'), made: 7, dies: true },
    {
      codes: ['HTTP_403', 'HTTP_404', 'HTTP_407', ...Array(4).fill('HTTP_431')],
      made: 7,
      dies: true,
    },
    { codes: [...Array(7).fill('HTTP_403'), 'HTTP_503'], made: 8, dies: false },
    {
      codes: [...Array(9).fill('HTTP_403'), undefined, ...Array(6).fill('HTTP_403')],
      made: 16,
      dies: false,
    },
    // The others were before a redrive.
    { codes: Array(9).fill('HTTP_403'), made: 2, dies: false },
    { codes: Array(9).fill('HTTP_403'), made: 0, dies: false },
  ])('HTTP_403 of a gateway, after $made attempts with $codes → dies: $dies', async (row) => {
    const attempts = row.codes.map((code) => ({
      at: STARTED_AT,
      outcome: 'retry',
      durationMs: 1,
      code,
    }));
    const outcome = { kind: 'retry', code: 'HTTP_403', reason: 'HTTP 403', maxInARow: 8 } as const;
    const { fail } = setup({
      result: attempted(outcome),
      job: { attemptsMade: row.made, data: buildSignalJob({ attempts }) },
    });

    const error = await fail();

    expect(error).toBeInstanceOf(row.dies ? UnrecoverableError : RetryError);
  });

  it('after an earlier attempt → is stored behind it', async () => {
    const before = { at: STARTED_AT, outcome: 'retry', durationMs: 1 };
    const { fail, updates } = setup({
      result: attempted(RETRY),
      job: { attemptsMade: 1, data: buildSignalJob({ attempts: [before] }) },
    });

    await fail();

    expect(updates).toEqual([
      {
        ...buildSignalJob(),
        attempts: [
          before,
          {
            at: STARTED_AT,
            requestId: 'request-1',
            outcome: 'retry',
            code: 'RATE_LIMITED',
            reason: 'Too many',
            durationMs: DURATION_MS,
          },
        ],
        nextAttemptAt: expect.any(String),
      },
    ]);
  });
});

describe('dead outcome', () => {
  it('FORBIDDEN → is stored, then BullMQ fails the job with SEEK’s answer as the reason', async () => {
    const { fail, updates } = setup({ result: attempted(DEAD) });

    const error = await fail();

    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(error).toHaveProperty('message', 'FORBIDDEN: No relationship');
    expect(updates).toMatchObject([
      {
        attempts: [
          { outcome: 'dead', code: 'FORBIDDEN', reason: 'No relationship', requestId: 'request-1' },
        ],
      },
    ]);
  });

  it.each([
    { what: 'last attempt', attemptsMade: 24, ageMs: HOUR_MS, data: {}, outcome: 'dead' },
    {
      what: 'one attempt before the last',
      attemptsMade: 23,
      ageMs: HOUR_MS,
      data: {},
      outcome: 'retry',
    },
    {
      what: 'maximum age reached',
      attemptsMade: 1,
      ageMs: 72 * HOUR_MS,
      data: {},
      outcome: 'dead',
    },
    {
      what: 'a millisecond before the maximum age',
      attemptsMade: 1,
      ageMs: 72 * HOUR_MS - 1,
      data: {},
      outcome: 'retry',
    },
    {
      what: 'old, but redriven an hour ago',
      attemptsMade: 1,
      ageMs: 100 * HOUR_MS,
      data: { redrivenAt: new Date(ACCEPTED_AT + 99 * HOUR_MS).toISOString(), redrives: 1 },
      outcome: 'retry',
    },
    {
      what: 'redriven as long ago as the maximum age',
      attemptsMade: 1,
      ageMs: 171 * HOUR_MS,
      data: { redrivenAt: new Date(ACCEPTED_AT + 99 * HOUR_MS).toISOString(), redrives: 1 },
      outcome: 'dead',
    },
  ])('retry, $what → $outcome', async ({ attemptsMade, ageMs, data, outcome }) => {
    const { fail, updates } = setup({
      result: attempted(RETRY),
      job: { attemptsMade, data: buildSignalJob(data) },
      ageMs,
    });

    await expect(fail()).resolves.toBeInstanceOf(
      outcome === 'dead' ? UnrecoverableError : RetryError,
    );
    expect(updates).toMatchObject([{ attempts: [{ outcome, code: 'RATE_LIMITED' }] }]);
  });
});

describe('skipped signal', () => {
  const result = attempted({ kind: 'skipped', reason: 'no-token' });

  it('→ its skip record is saved', async () => {
    const { process, records } = setup({ result });

    const { attempt } = await process();

    expect(records).toMatchObject([
      { signalId: 'signal-1', state: 'skipped', reason: 'no-token', attempts: [attempt] },
    ]);
  });

  it('whose lock was lost → no skip record is saved', async () => {
    const { fail, records, aborter } = setup({ result });
    aborter.abort('lock lost');

    expect(await fail()).toBeInstanceOf(WaitingError);

    expect(records).toEqual([]);
  });

  it('whose skip record cannot be saved → is delayed and spends no attempt', async () => {
    const { fail, delayedWith, updates, deferred } = setup({ result, bookkeeping: 'unavailable' });

    expect(await fail()).toBeInstanceOf(DelayedError);

    expect(delayedWith).toHaveLength(1);
    expect(deferred).toEqual([{ code: 'QUEUE' }]);
    expect(updates).toMatchObject([{ attempts: [], deferrals: 1 }]);
  });
});
describe('attempt', () => {
  it.each<{ result: DeliveryResult; line: object; labels: object }>([
    {
      result: attempted({ kind: 'delivered' }),
      line: { outcome: 'delivered', attempt: 3, maxAttempts: 25 },
      labels: { outcome: 'delivered', code: '' },
    },
    {
      result: attempted(RETRY, { errors: [{ message: 'Too many' }] }),
      line: {
        outcome: 'retry',
        backoffMs: 8_000,
        code: 'RATE_LIMITED',
        reason: 'Too many',
        errors: [{ message: 'Too many' }],
      },
      labels: { outcome: 'retry', code: 'RATE_LIMITED' },
    },
    {
      result: attempted(DEAD),
      line: { outcome: 'dead', code: 'FORBIDDEN' },
      labels: { outcome: 'dead', code: 'FORBIDDEN' },
    },
    {
      result: attempted({ ...RETRY, code: 'made up, with spaces' }),
      line: { outcome: 'retry', code: 'made up, with spaces' },
      labels: { outcome: 'retry', code: 'OTHER' },
    },
  ])(
    'with outcome $labels.outcome and label $labels.code → one log line and one count',
    async ({ result, line, labels }) => {
      const { fail, logs, counted } = setup({ result, job: { attemptsMade: 2 } });

      await fail();

      expect(logs.lines()).toEqual([
        expect.objectContaining({
          level: 'info',
          msg: 'signal.attempted',
          signalId: 'signal-1',
          typeCode: 'ApplicationStatusUpdate',
          requestId: 'request-1',
          durationMs: DURATION_MS,
          ...line,
        }),
      ]);
      expect(counted).toEqual([labels]);
      expect(logs.text()).not.toContain('seek-token-1');
    },
  );
});

describe('internal error', () => {
  const BUG = new TypeError('could not read seek-token-1');

  it('→ counts as a retry, and its message is neither stored nor logged', async () => {
    const { fail, updates, logs } = setup({ result: BUG });

    const error = await fail();

    expect(error).toBeInstanceOf(RetryError);
    expect(error).toMatchObject({
      backoffMs: 2_000,
      message: 'FAULT: internal error: TypeError',
    });
    expect(updates).toMatchObject([{ attempts: [{ outcome: 'retry', code: 'FAULT' }] }]);
    expect(logs.lines()).toMatchObject([
      {
        level: 'error',
        msg: 'Attempt failed: internal error',
        signalId: 'signal-1',
        fault: 'TypeError',
      },
      { level: 'info', msg: 'signal.attempted' },
    ]);
    expect(logs.text() + String(error)).not.toContain('seek-token-1');
    expect(JSON.stringify(updates, ['attempts', 'reason'])).not.toContain('seek-token-1');
  });

  it('→ the log names the place', async () => {
    const { fail, logs } = setup({ result: BUG });

    await fail();

    expect(logs.lines()[0]).toHaveProperty(
      'at',
      expect.arrayContaining([expect.stringContaining('processor.test.ts')]),
    );
  });

  it('at the last attempt → is dead', async () => {
    const { fail } = setup({ result: BUG, job: { attemptsMade: 24 } });

    await expect(fail()).resolves.toBeInstanceOf(UnrecoverableError);
  });

  it('of the queue while writing → is thrown unchanged', async () => {
    const { fail } = setup({
      result: attempted(RETRY),
      jobData: { write: () => Promise.reject(new Error('Connection is closed.')) },
    });

    await expect(fail()).resolves.toHaveProperty('message', 'Connection is closed.');
  });

  it.each<{ method: string; result: DeliveryResult; thrown: string }>([
    { method: 'moveToWait', result: RELEASED, thrown: 'WaitingError' },
    { method: 'moveToDelayed', result: DEFERRED, thrown: 'DelayedError' },
  ])(
    'of the queue in $method → throws $thrown, spends no attempt',
    async ({ method, result, thrown }) => {
      const { fail } = setup({
        result,
        job: { [method]: () => Promise.reject(new Error('Missing lock for job')) },
      });

      await expect(fail()).resolves.toHaveProperty('name', thrown);
    },
  );
});

describe('job that another worker holds by now', () => {
  it.each<{ outcome: Outcome }>([{ outcome: RETRY }, { outcome: DEAD }])(
    'write refused after outcome $outcome.kind → job is left to the other worker',
    async ({ outcome }) => {
      const { fail, requeuedWith, delayedWith } = setup({
        result: attempted(outcome),
        jobData: { write: async () => false },
      });

      await expect(fail()).resolves.toBeInstanceOf(WaitingError);
      expect([requeuedWith, delayedWith]).toEqual([[], []]);
    },
  );

  it('lock lost → nothing is written, but the attempt is counted', async () => {
    const { fail, aborter, updates, counted } = setup({ result: attempted(RETRY) });
    aborter.abort(LOCK_LOST);

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect([updates, counted.length]).toEqual([[], 1]);
  });
});
