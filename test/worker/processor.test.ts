import { type Job, UnrecoverableError, WaitingError } from 'bullmq';

import { RETRY_OPTIONS } from '../../src/queue/jobOptions.ts';
import type { Outcome } from '../../src/worker/classify.ts';
import type { Dispatched } from '../../src/worker/dispatchSignal.ts';
import { createProcessor, RetryError } from '../../src/worker/processor.ts';
import { buildSignal, buildSignalJob } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';

const ACCEPTED_AT = Date.parse('2026-03-01T12:00:00.000Z');
const HOUR_MS = 3_600_000;
const TOOK_MS = 25;

const attempted = (outcome: Outcome, more: object = {}): Dispatched => ({
  kind: 'attempted',
  outcome,
  requestId: 'request-1',
  ...more,
});
const RETRY: Outcome = { kind: 'retry', code: 'RATE_LIMITED', reason: 'Too many' };
const DEAD: Outcome = { kind: 'dead', code: 'FORBIDDEN', reason: 'No relationship' };

/** As much of a BullMQ job as the processor touches. */
const buildJob = (change: object = {}) => {
  const updates: unknown[] = [];
  const handedBackWith: unknown[] = [];
  const job = {
    id: 'signal-1',
    attemptsMade: 0,
    data: buildSignalJob(),
    opts: { ...RETRY_OPTIONS },
    updateData: async (data: unknown) => {
      updates.push(data);
    },
    moveToWait: async (lock: unknown) => {
      handedBackWith.push(lock);
    },
    ...change,
  };
  return { job: job as unknown as Job, updates, handedBackWith };
};

type Setup = {
  /** What the dispatch comes to. */
  come?: Dispatched | Error;
  job?: object;
  ageMs?: number;
};

const setup = ({
  come = attempted({ kind: 'delivered' }),
  job = {},
  ageMs = HOUR_MS,
}: Setup = {}) => {
  const clock = { now: ACCEPTED_AT + ageMs };
  const counted: unknown[] = [];
  const dispatched: unknown[] = [];
  const logs = captureLogs();
  const built = buildJob(job);
  const processor = createProcessor({
    dispatch: async (...given) => {
      dispatched.push(given);
      clock.now += TOOK_MS;
      if (come instanceof Error) throw come;
      return come;
    },
    policy: { baseMs: 2_000, maxMs: 3 * HOUR_MS, maxAttempts: 25, maxAgeMs: 72 * HOUR_MS },
    logger: logs.logger,
    metrics: { attempts: { inc: (labels: unknown) => counted.push(labels) } as never },
    now: () => clock.now,
    random: () => 0.5,
  });
  const abort = new AbortController().signal;

  return {
    ...built,
    ...{ processor, counted, dispatched, logs, abort },
    process: () => processor(built.job, 'lock-1', abort),
    /** What it throws. */
    fail: () => processor(built.job, 'lock-1', abort).catch((err: unknown) => err),
  };
};

const AT = new Date(ACCEPTED_AT + HOUR_MS).toISOString();

describe('the processor', () => {
  it('declares three parameters, or BullMQ would give it no abort', () => {
    expect(setup().processor).toHaveLength(3);
  });

  it('dispatches the parsed signal, and passes the abort on', async () => {
    const { process, dispatched, abort } = setup();

    await process();

    expect(dispatched).toEqual([[buildSignal(), abort]]);
  });

  it.each<{ outcome: Outcome; more: object }>([
    { outcome: { kind: 'delivered' }, more: {} },
    { outcome: { kind: 'skipped', reason: 'no token' }, more: { reason: 'no token' } },
  ])('completes a job that is $outcome.kind, with its last attempt', async ({ outcome, more }) => {
    const { process, updates } = setup({ come: attempted(outcome) });

    await expect(process()).resolves.toEqual({
      outcome: outcome.kind,
      attempt: {
        at: AT,
        requestId: 'request-1',
        outcome: outcome.kind,
        durationMs: TOOK_MS,
        ...more,
      },
    });
    expect(updates).toEqual([]);
  });
});

describe('a retry', () => {
  it.each([
    { attemptsMade: 0, retryAfterMs: undefined, waits: 2_000 },
    { attemptsMade: 3, retryAfterMs: undefined, waits: 16_000 },
    { attemptsMade: 0, retryAfterMs: 60_000, waits: 60_000 },
    { attemptsMade: 3, retryAfterMs: 1_000, waits: 16_000 },
  ])(
    'after $attemptsMade attempts and a Retry-After of $retryAfterMs carries a wait of $waits ms',
    async (row) => {
      const { attemptsMade, retryAfterMs, waits } = row;
      const outcome = { ...RETRY, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
      const { fail, updates } = setup({ come: attempted(outcome), job: { attemptsMade } });

      const error = await fail();

      expect(error).toBeInstanceOf(RetryError);
      expect(error).toMatchObject({ backoffMs: waits, message: 'RATE_LIMITED: Too many' });
      expect(updates).toMatchObject([
        { nextAttemptAt: new Date(ACCEPTED_AT + HOUR_MS + TOOK_MS + waits).toISOString() },
      ]);
    },
  );

  it('is remembered behind the attempts before it', async () => {
    const before = { at: AT, outcome: 'retry', durationMs: 1 };
    const { fail, updates } = setup({
      come: attempted(RETRY),
      job: { attemptsMade: 1, data: buildSignalJob({ attempts: [before] }) },
    });

    await fail();

    expect(updates).toEqual([
      {
        ...buildSignalJob(),
        attempts: [
          before,
          {
            at: AT,
            requestId: 'request-1',
            outcome: 'retry',
            code: 'RATE_LIMITED',
            reason: 'Too many',
            durationMs: TOOK_MS,
          },
        ],
        nextAttemptAt: expect.any(String),
      },
    ]);
  });
});

describe('a death', () => {
  it('tells BullMQ to give up, with SEEK’s answer as the reason, once it is remembered', async () => {
    const { fail, updates } = setup({ come: attempted(DEAD) });

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
    { what: 'attempts', attemptsMade: 24, ageMs: HOUR_MS, data: {}, dead: true },
    { what: 'attempts, not yet', attemptsMade: 23, ageMs: HOUR_MS, data: {}, dead: false },
    { what: 'age', attemptsMade: 1, ageMs: 72 * HOUR_MS, data: {}, dead: true },
    { what: 'age, not yet', attemptsMade: 1, ageMs: 72 * HOUR_MS - 1, data: {}, dead: false },
    {
      what: 'age since the last redrive, not yet',
      attemptsMade: 1,
      ageMs: 100 * HOUR_MS,
      data: { redrivenAt: new Date(ACCEPTED_AT + 99 * HOUR_MS).toISOString(), redrives: 1 },
      dead: false,
    },
    {
      what: 'age since the last redrive',
      attemptsMade: 1,
      ageMs: 171 * HOUR_MS,
      data: { redrivenAt: new Date(ACCEPTED_AT + 99 * HOUR_MS).toISOString(), redrives: 1 },
      dead: true,
    },
  ])('by exhaustion of $what: $dead', async ({ attemptsMade, ageMs, data, dead }) => {
    const { fail, updates } = setup({
      come: attempted(RETRY),
      job: { attemptsMade, data: buildSignalJob(data) },
      ageMs,
    });

    await expect(fail()).resolves.toBeInstanceOf(dead ? UnrecoverableError : RetryError);
    expect(updates).toMatchObject([
      { attempts: [{ outcome: dead ? 'dead' : 'retry', code: 'RATE_LIMITED' }] },
    ]);
  });
});

describe('what a job carries', () => {
  it.each([
    { attempts: 1 },
    { attempts: 1, backoff: { type: 'fixed', delay: 1 } },
    { attempts: 0 },
    {},
  ])('never decides how often it is tried: %j', async (opts) => {
    const { fail, job } = setup({ come: attempted(RETRY), job: { opts: { ...opts } } });

    await expect(fail()).resolves.toBeInstanceOf(RetryError);
    expect(job.opts).toMatchObject(RETRY_OPTIONS);
  });

  it.each([
    { what: 'another version', data: buildSignalJob({ version: 2 }), says: '/version' },
    {
      what: 'no signal',
      data: buildSignalJob({ signal: undefined }),
      says: '/signal: Is required',
    },
    {
      what: 'a broken signal',
      data: buildSignalJob({ signal: { typeCode: 'New', token: ' s3cret', s: 's3cret' } }),
      says: '/signal/token: Must not begin or end with white space; /signal/s: Unknown field',
    },
    { what: 'a text', data: 's3cret', says: '/: ' },
    { what: 'nothing', data: null, says: '/: ' },
    {
      what: 's3cret everywhere',
      data: Object.fromEntries(
        Object.keys(buildSignalJob()).map((key) => [key, { s3cret: 's3cret' }]),
      ),
      says: '/acceptedAt: ',
    },
  ])(
    'may be unreadable, which is a death that names fields and no values: $what',
    async ({ data, says }) => {
      const { fail, dispatched, updates } = setup({ job: { data } });

      const error = await fail();

      expect(error).toBeInstanceOf(UnrecoverableError);
      expect(error).toHaveProperty('message', expect.stringContaining(says));
      expect(error).toHaveProperty('message', expect.stringMatching(/^UNREADABLE: /));
      expect(String(error).replaceAll('/s3cret', '')).not.toContain('s3cret');
      expect([dispatched, updates]).toEqual([[], []]);
    },
  );
});

describe('a signal that is handed back', () => {
  it('returns to the queue under its lock, and spends no attempt', async () => {
    const { fail, updates, handedBackWith, counted, logs } = setup({
      come: { kind: 'handedBack' },
    });

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);

    expect(handedBackWith).toEqual(['lock-1']);
    expect([updates, counted, logs.lines()]).toEqual([[], [], []]);
  });
});

describe('a fault of ours', () => {
  const BUG = new TypeError('could not read seek-token-1');

  it('counts as a retry, and tells nothing of its message', async () => {
    const { fail, updates, logs } = setup({ come: BUG });

    const error = await fail();

    expect(error).toBeInstanceOf(RetryError);
    expect(error).toMatchObject({
      backoffMs: 2_000,
      message: 'FAULT: fault of the worker: TypeError',
    });
    expect(updates).toMatchObject([{ attempts: [{ outcome: 'retry', code: 'FAULT' }] }]);
    expect(logs.lines()).toMatchObject([
      { level: 'error', signalId: 'signal-1', fault: 'TypeError' },
      { level: 'info', msg: 'signal.attempted' },
    ]);
    expect(logs.text() + String(error)).not.toContain('seek-token-1');
    expect(JSON.stringify(updates, ['attempts', 'reason'])).not.toContain('seek-token-1');
  });

  it('says where it happened', async () => {
    const { fail, logs } = setup({ come: BUG });

    await fail();

    expect(logs.lines()[0]).toHaveProperty(
      'at',
      expect.arrayContaining([expect.stringContaining('processor.test.ts')]),
    );
  });

  it('is a death when it used up the last attempt', async () => {
    const { fail } = setup({ come: BUG, job: { attemptsMade: 24 } });

    await expect(fail()).resolves.toBeInstanceOf(UnrecoverableError);
  });

  it.each(['updateData', 'moveToWait'])(
    'of the queue passes through as it is: %s',
    async (method) => {
      const come: Dispatched = method === 'updateData' ? attempted(RETRY) : { kind: 'handedBack' };
      const { fail } = setup({
        come,
        job: { [method]: () => Promise.reject(new Error('Missing lock for job')) },
      });

      await expect(fail()).resolves.toHaveProperty('message', 'Missing lock for job');
    },
  );
});

describe('what is told of an attempt', () => {
  it.each<{ come: Dispatched; line: object; labels: object }>([
    {
      come: attempted({ kind: 'delivered' }),
      line: { outcome: 'delivered', attempt: 3, maxAttempts: 25 },
      labels: { outcome: 'delivered', code: '' },
    },
    {
      come: attempted(RETRY, { errors: [{ message: 'Too many' }] }),
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
      come: attempted(DEAD),
      line: { outcome: 'dead', code: 'FORBIDDEN' },
      labels: { outcome: 'dead', code: 'FORBIDDEN' },
    },
    {
      come: attempted({ ...RETRY, code: 'made up, with spaces' }),
      line: { outcome: 'retry', code: 'made up, with spaces' },
      labels: { outcome: 'retry', code: 'OTHER' },
    },
  ])('is one line and one count: $line', async ({ come, line, labels }) => {
    const { fail, logs, counted } = setup({ come, job: { attemptsMade: 2 } });

    await fail();

    expect(logs.lines()).toEqual([
      expect.objectContaining({
        ...{ level: 'info', msg: 'signal.attempted', signalId: 'signal-1' },
        ...{ typeCode: 'ApplicationStatusUpdate', requestId: 'request-1', durationMs: TOOK_MS },
        ...line,
      }),
    ]);
    expect(counted).toEqual([labels]);
    expect(logs.text()).not.toContain('seek-token-1');
  });
});
