import { JobResultSchema } from '../../src/schemas/signalJob.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import type { Outcome } from '../../src/worker/seek/classify.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import {
  ACCEPTED_AT,
  attempted,
  DEAD,
  DELIVERED,
  DURATION_MS,
  HOUR_MS,
  RETRY,
  STARTED_AT,
  setup,
} from './setupAttempts.ts';

describe('completed attempt', () => {
  it.each<{ outcome: Outcome; more: object }>([
    { outcome: { kind: 'delivered' }, more: {} },
    { outcome: { kind: 'skipped', reason: 'no token' }, more: { reason: 'no token' } },
  ])('$outcome.kind → completes the job with its last attempt', async ({ outcome, more }) => {
    const { run, ends, updates } = setup({ result: attempted(outcome) });

    await run();

    const attempt = {
      at: STARTED_AT,
      requestId: 'request-1',
      outcome: outcome.kind,
      durationMs: DURATION_MS,
      ...more,
    };
    expect(ends).toEqual([['complete', 'signal-1', { outcome: outcome.kind, attempt }]]);
    expect(updates).toEqual([]);
  });

  it('delivered → is logged and counted only when the queue has confirmed the completion', async () => {
    const seen: unknown[] = [];
    const { run, source, logs, counted, ends } = setup();
    const { exchange } = source;
    source.exchange = async (completions, wanted) => {
      const exchanged = await exchange(completions, wanted);
      seen.push(...logs.lines(), ...counted);
      return exchanged;
    };

    await run();

    expect(seen).toEqual([]);
    expect(ends).toMatchObject([['complete', 'signal-1', { outcome: 'delivered' }]]);
    expect(logs.lines()).toMatchObject([{ msg: 'signal.attempted', outcome: 'delivered' }]);
    expect(counted).toEqual([{ outcome: 'delivered', code: '' }]);
  });
});

describe('answer without errors that is not true', () => {
  it.each([false, null, 0, 'absent'])(
    '%p → the attempt and the log have the value',
    async (value) => {
      const { run, ends, logs } = setup({
        result: attempted({ kind: 'delivered' }, { seekAnswer: value }),
      });

      await run();

      const [[how, id, result] = []] = ends;
      expect([how, id]).toEqual(['complete', 'signal-1']);
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
    'after $attemptsMade earlier attempts, Retry-After $retryAfterMs ms → is retried after $waits ms',
    async (row) => {
      const { attemptsMade, retryAfterMs, waits } = row;
      const outcome = { ...RETRY, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
      const { run, updates, ends } = setup({ result: attempted(outcome), job: { attemptsMade } });

      await run();

      expect(ends).toEqual([['retry', 'signal-1', 'RATE_LIMITED: Too many', waits]]);
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
    const { run, logs } = setup({ result: attempted(RETRY, { errors }) });

    await run();

    expect(logs.lines()).toMatchObject([{ msg: 'signal.attempted', errors: expect.any(Array) }]);
    expect(logs.text().length).toBeLessThan(6_000);
  });

  it('errors with a token field → the log line does not repeat it', async () => {
    const errors = [{ message: 'No', extensions: { code: 'NEW', token: 'seek-token-1' } }];
    const { run, logs } = setup({ result: attempted(RETRY, { errors }) });

    await run();

    expect(logs.lines()).toMatchObject([{ errors: [{ message: 'No' }] }]);
    expect(logs.text()).not.toContain('seek-token-1');
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
    const { run, ends } = setup({
      result: attempted(outcome),
      job: { attemptsMade: row.made, data: buildSignalJob({ attempts }) },
    });

    await run();

    expect(ends.map(([how]) => how)).toEqual([row.dies ? 'fail' : 'retry']);
  });

  it('after an earlier attempt → is stored behind it', async () => {
    const before = { at: STARTED_AT, outcome: 'retry', durationMs: 1 };
    const { run, updates } = setup({
      result: attempted(RETRY),
      job: { attemptsMade: 1, data: buildSignalJob({ attempts: [before] }) },
    });

    await run();

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
  it('FORBIDDEN → is stored, then the job fails with SEEK’s answer as the reason', async () => {
    const { run, updates, ends, failed } = setup({ result: attempted(DEAD) });

    await run();

    expect(ends).toEqual([['fail', 'signal-1', 'FORBIDDEN: No relationship']]);
    expect(failed).toEqual(['signal-1']);
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
    const { run, updates, ends } = setup({
      result: attempted(RETRY),
      job: { attemptsMade, data: buildSignalJob(data) },
      ageMs,
    });

    await run();

    expect(ends.map(([how]) => how)).toEqual([outcome === 'dead' ? 'fail' : 'retry']);
    expect(updates).toMatchObject([{ attempts: [{ outcome, code: 'RATE_LIMITED' }] }]);
  });
});

describe('skipped signal', () => {
  const result = attempted({ kind: 'skipped', reason: 'no-token' });

  it('→ its skip record is saved before the job completes', async () => {
    const seen: unknown[] = [];
    const { run, records, source, ends } = setup({ result });
    const { exchange } = source;
    source.exchange = (completions, wanted) => {
      if (completions.length > 0) seen.push([...records]);
      return exchange(completions, wanted);
    };

    await run();

    const [[, , completed] = []] = ends;
    expect(completed).toMatchObject({ outcome: 'skipped' });
    const { attempt } = JobResultSchema.parse(completed);
    expect(seen).toMatchObject([
      [{ signalId: 'signal-1', state: 'skipped', reason: 'no-token', attempts: [attempt] }],
    ]);
  });

  it('whose skip record cannot be saved → is delayed and spends no attempt', async () => {
    const { run, ends, updates, deferred, logs } = setup({ result, bookkeeping: 'unavailable' });

    await run();

    expect(ends).toEqual([['delay', 'signal-1', expect.any(Number)]]);
    expect(deferred).toEqual([{ code: 'QUEUE' }]);
    expect(updates).toMatchObject([{ attempts: [], deferrals: 1 }]);
    expect(logs.lines()).toMatchObject([{ msg: 'signal.deferred' }]);
  });
});

describe('attempt', () => {
  it.each<{ result: DeliveryResult; line: object; labels: object }>([
    {
      result: DELIVERED,
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
      const { run, logs, counted } = setup({ result, job: { attemptsMade: 2 } });

      await run();

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
