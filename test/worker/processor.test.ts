import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';

import { type JobDataStore, LOCK_LOST } from '../../src/queue/backend.ts';
import { RETRY_OPTIONS } from '../../src/queue/bullWorker.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import { createProcessor, RetryError } from '../../src/worker/processor.ts';
import type { Outcome } from '../../src/worker/seek/classify.ts';
import { buildSignal, buildSignalJob } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';

const ACCEPTED_AT = Date.parse('2026-03-01T12:00:00.000Z');
const HOUR_MS = 3_600_000;
const TOOK_MS = 25;

const attempted = (outcome: Outcome, more: object = {}): DeliveryResult => ({
  kind: 'attempted',
  outcome,
  requestId: 'request-1',
  ...more,
});
const DEFERRED: DeliveryResult = { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Slow down' };
const HANDED_BACK: DeliveryResult = { kind: 'released' };
const RETRY: Outcome = { kind: 'retry', code: 'RATE_LIMITED', reason: 'Too many' };
const DEAD: Outcome = { kind: 'dead', code: 'FORBIDDEN', reason: 'No relationship' };

const LOCK = 'lock-1';

/** As much of a BullMQ job as the processor touches. */
const buildJob = (change: object = {}) => {
  const handedBackWith: unknown[] = [];
  const putOff: unknown[] = [];
  const job = {
    id: 'signal-1',
    attemptsMade: 0,
    stalledCounter: 0,
    timestamp: ACCEPTED_AT,
    data: buildSignalJob(),
    opts: { ...RETRY_OPTIONS },
    moveToWait: async (lock: unknown) => {
      handedBackWith.push(lock);
    },
    moveToDelayed: async (...given: unknown[]) => {
      putOff.push(given);
    },
    ...change,
  };
  return { job: job as unknown as Job, handedBackWith, putOff };
};

/** What is written of jobs, or becomes of that. */
const keep = (doubles: Partial<JobDataStore> = {}) => {
  const updates: unknown[] = [];
  const updatesOf = new Map<Job, unknown[]>();
  const replaced: unknown[] = [];
  const jobData: JobDataStore = {
    write: async (job, lock, data) => {
      expect(lock).toBe(LOCK);
      updates.push(data);
      updatesOf.set(job, [...(updatesOf.get(job) ?? []), data]);
      return true;
    },
    replace: async (_, from, to) => {
      replaced.push([from, to]);
      return true;
    },
    ...doubles,
  };
  return { jobData, updates, updatesOf, replaced };
};

type Setup = {
  /** Of the queue, where it does not do as it is told. */
  jobData?: Partial<JobDataStore>;
  bookkeeping?: 'silent';
  /** What the dispatch comes to. */
  come?: DeliveryResult | Error | ((entry: { signalId: string }) => Promise<DeliveryResult>);
  job?: object;
  ageMs?: number;
};

const setup = ({
  come = attempted({ kind: 'delivered' }),
  job = {},
  ageMs = HOUR_MS,
  ...doubles
}: Setup = {}) => {
  const clock = { now: ACCEPTED_AT + ageMs };
  const counted: unknown[] = [];
  const deferred: unknown[] = [];
  const delivery: unknown[] = [];
  const records: unknown[] = [];
  const unsent: string[] = [];
  const logs = captureLogs();
  const built = buildJob(job);
  const kept = keep(doubles.jobData);
  const processor = createProcessor({
    dispatch: async (...given) => {
      delivery.push(given);
      clock.now += TOOK_MS;
      if (come instanceof Error) throw come;
      return typeof come === 'function' ? come(given[0]) : come;
    },
    policy: { baseMs: 2_000, maxMs: 3 * HOUR_MS, maxAttempts: 25, maxAgeMs: 72 * HOUR_MS },
    jobData: kept.jobData,
    bookkeeping: {
      saveSkipRecord: async (record) => {
        if (doubles.bookkeeping === 'silent') throw new Error('silent');
        records.push(record);
      },
      markUnsent: async ({ signalId }) => {
        unsent.push(signalId);
      },
    },
    logger: logs.logger,
    metrics: {
      attempts: { inc: (labels) => counted.push(labels) },
      deferred: { inc: (labels) => deferred.push(labels) },
    },
    now: () => clock.now,
    random: () => 0.5,
  });
  const aborter = new AbortController();
  const abort = aborter.signal;

  return {
    ...built,
    ...kept,
    ...{ processor, counted, deferred, delivery, records, unsent, logs, abort, aborter },
    process: () => processor(built.job, LOCK, abort),
    /** What it throws. */
    fail: (job: Job = built.job) => processor(job, LOCK, abort).catch((err: unknown) => err),
  };
};

const AT = new Date(ACCEPTED_AT + HOUR_MS).toISOString();

describe('the processor', () => {
  it('declares three parameters, or BullMQ would give it no abort', () => {
    expect(setup().processor).toHaveLength(3);
  });

  it('dispatches the parsed signal in company, and passes the abort on', async () => {
    const { process, delivery, abort } = setup();

    await process();

    const entry = { signalId: 'signal-1', signal: buildSignal(), abort };
    expect(delivery).toEqual([[entry, 'allowed']]);
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
    { what: 'no version of ours', data: buildSignalJob({ version: 0 }), says: '/version' },
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
      const { fail, delivery, updates } = setup({ job: { data } });

      const error = await fail();

      expect(error).toBeInstanceOf(UnrecoverableError);
      expect(error).toHaveProperty('message', expect.stringContaining(says));
      expect(error).toHaveProperty('message', expect.stringMatching(/^UNREADABLE: /));
      expect(String(error).replaceAll('/s3cret', '')).not.toContain('s3cret');
      expect([delivery, updates]).toEqual([[], []]);
    },
  );
});

describe('a job that a newer version wrote', () => {
  const data = { version: 5, something: 'else' };

  it.each([{ ageMs: 0 }, { ageMs: 72 * HOUR_MS - 1 }])(
    'is left for a newer worker, unread, when it is $ageMs ms old',
    async ({ ageMs }) => {
      const { fail, delivery, updates, putOff, counted, logs, unsent } = setup({
        ...{ job: { data }, ageMs },
      });

      await expect(fail()).resolves.toBeInstanceOf(DelayedError);

      expect(putOff).toEqual([[ACCEPTED_AT + ageMs + 15_000, LOCK]]);
      expect([delivery, updates, counted]).toEqual([[], [], []]);
      expect(unsent).toEqual(['signal-1']);
      expect(logs.lines()).toMatchObject([
        { level: 'info', msg: 'signal.leftForNewerVersion', signalId: 'signal-1', version: 5 },
      ]);
    },
  );

  it('is unreadable once its time is over', async () => {
    const { fail, putOff } = setup({ job: { data }, ageMs: 72 * HOUR_MS });

    const error = await fail();

    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(error).toHaveProperty('message', expect.stringMatching(/^UNREADABLE: .*newer.*\(5\)/));
    expect(putOff).toEqual([]);
  });
});

describe('a signal that is handed back', () => {
  it('returns to the queue under its lock, and spends no attempt', async () => {
    const { fail, updates, handedBackWith, counted, logs } = setup({ come: HANDED_BACK });

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);

    expect(handedBackWith).toEqual([LOCK]);
    expect([updates, counted, logs.lines()]).toEqual([[], [], []]);
  });

  it('because its worker stops returns as well', async () => {
    const { fail, aborter, handedBackWith } = setup({ come: HANDED_BACK });
    aborter.abort('stopping');

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect(handedBackWith).toEqual([LOCK]);
  });

  it('because its lock was lost is not moved, for it is another’s', async () => {
    const { fail, aborter, handedBackWith, updates } = setup({ come: HANDED_BACK });
    aborter.abort(LOCK_LOST);

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect([handedBackWith, updates]).toEqual([[], []]);
  });
});

describe('a signal that is deferred', () => {
  it('goes to the end of the queue for a second, and spends no attempt', async () => {
    const { fail, updates, putOff, handedBackWith, counted, deferred, logs } = setup({
      come: DEFERRED,
    });

    await expect(fail()).resolves.toBeInstanceOf(DelayedError);

    expect(putOff).toEqual([[ACCEPTED_AT + HOUR_MS + TOOK_MS + 1_000, LOCK]]);
    expect(updates).toEqual([
      {
        ...buildSignalJob(),
        deferrals: 1,
        lastDeferral: {
          at: new Date(ACCEPTED_AT + HOUR_MS + TOOK_MS).toISOString(),
          ...{ code: 'RATE_LIMITED', reason: 'Slow down' },
        },
        nextAttemptAt: new Date(ACCEPTED_AT + HOUR_MS + TOOK_MS + 1_000).toISOString(),
      },
    ]);
    expect([handedBackWith, counted]).toEqual([[], []]);
    expect(deferred).toEqual([{ code: 'RATE_LIMITED' }]);
    expect(logs.lines()).toMatchObject([
      {
        ...{ level: 'info', msg: 'signal.deferred', signalId: 'signal-1' },
        ...{ typeCode: 'ApplicationStatusUpdate', code: 'RATE_LIMITED', reason: 'Slow down' },
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
  ])('for the time after $deferrals in a row waits $waits ms', async ({ deferrals, waits }) => {
    const { fail, updates, putOff } = setup({
      come: DEFERRED,
      job: { data: buildSignalJob({ deferrals, nextAttemptAt: AT }) },
    });

    await fail();

    const dueAt = ACCEPTED_AT + HOUR_MS + TOOK_MS + waits;
    expect(putOff).toEqual([[dueAt, LOCK]]);
    expect(updates).toMatchObject([
      { deferrals: deferrals + 1, nextAttemptAt: new Date(dueAt).toISOString(), attempts: [] },
    ]);
  });

  it.each<{ outcome: Outcome }>([{ outcome: RETRY }, { outcome: DEAD }])(
    'is counted anew after an attempt: $outcome.kind',
    async ({ outcome }) => {
      const { fail, updates } = setup({
        come: attempted(outcome),
        job: {
          data: buildSignalJob({
            deferrals: 3,
            lastDeferral: { at: AT, code: 'RATE_LIMITED', reason: 'Slow down' },
          }),
        },
      });

      await fail();

      expect(updates).toHaveLength(1);
      expect(updates[0]).not.toHaveProperty('deferrals');
      expect(updates[0]).not.toHaveProperty('lastDeferral');
    },
  );

  it('is moved even where that cannot be written', async () => {
    const { fail, putOff } = setup({
      come: DEFERRED,
      jobData: { write: () => Promise.reject(new Error('OOM command not allowed')) },
    });

    await expect(fail()).resolves.toBeInstanceOf(DelayedError);
    expect(putOff).toHaveLength(1);
  });

  it('because its lock was lost is left to the other, unmoved and unwritten', async () => {
    const { fail, aborter, putOff, updates } = setup({ come: DEFERRED });
    aborter.abort(LOCK_LOST);

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect([putOff, updates]).toEqual([[], []]);
  });

  it('keeps its attempts even where they are used up', async () => {
    const { fail } = setup({ come: DEFERRED, job: { attemptsMade: 24 } });

    await expect(fail()).resolves.toBeInstanceOf(DelayedError);
  });

  it('is dead once its time is over, with what deferred it as the reason', async () => {
    const { fail, updates, putOff } = setup({ come: DEFERRED, ageMs: 72 * HOUR_MS });
    const reason = 'Slow down (given up after 72 hours)';

    const error = await fail();

    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(error).toHaveProperty('message', `RATE_LIMITED: ${reason}`);
    expect(updates).toMatchObject([
      { attempts: [{ outcome: 'dead', code: 'RATE_LIMITED', reason }] },
    ]);
    expect(putOff).toEqual([]);
  });

  it('has its time counted from its last redrive', async () => {
    const redrivenAt = new Date(ACCEPTED_AT + 99 * HOUR_MS).toISOString();
    const { fail } = setup({
      come: DEFERRED,
      job: { data: buildSignalJob({ redrivenAt, redrives: 1 }) },
      ageMs: 100 * HOUR_MS,
    });

    await expect(fail()).resolves.toBeInstanceOf(DelayedError);
  });

  it('counts under a label that no server can make up', async () => {
    const { fail, deferred } = setup({ come: { ...DEFERRED, code: 'made up' } });

    await fail();

    expect(deferred).toEqual([{ code: 'OTHER' }]);
  });
});

describe('a signal whose workers were lost', () => {
  const suspect = (change: object = {}) => ({ stalledCounter: 2, ...change });

  it.each([
    { stalledCounter: 0, batching: 'allowed' },
    { stalledCounter: 1, batching: 'allowed' },
    { stalledCounter: 2, batching: 'never' },
    { stalledCounter: 17, batching: 'never' },
  ])(
    '$stalledCounter times is tried in company: $company',
    async ({ stalledCounter, batching }) => {
      const { process, delivery, abort } = setup({ job: { stalledCounter } });

      await process();

      const entry = { signalId: 'signal-1', signal: buildSignal(), abort };
      expect(delivery).toEqual([[entry, batching]]);
    },
  );

  it('is marked before it is tried apart, so that a further death is counted', async () => {
    let marked: unknown;
    const { fail, updates } = setup({
      come: async () => {
        marked = [...updates];
        return attempted(RETRY);
      },
      job: suspect({ data: buildSignalJob({ isolatedCrashes: 1 }) }),
    });

    await fail();

    expect(marked).toEqual([{ ...buildSignalJob(), isolatedCrashes: 2 }]);
  });

  it.each<{ what: string; come: DeliveryResult | Error }>([
    { what: 'a retry', come: attempted(RETRY) },
    { what: 'a death', come: attempted(DEAD) },
    { what: 'a fault of ours', come: new TypeError('bug') },
    { what: 'deferred', come: DEFERRED },
    { what: 'handed back', come: HANDED_BACK },
  ])('is not marked any more once its worker lived to see the end: $what', async ({ come }) => {
    const { fail, updates } = setup({ come, job: suspect() });

    await fail();

    expect(updates.at(0)).toHaveProperty('isolatedCrashes', 1);
    expect(updates.at(-1)).not.toHaveProperty('isolatedCrashes');
  });

  it('and is delivered completes', async () => {
    const { process } = setup({ job: suspect() });

    await expect(process()).resolves.toMatchObject({ outcome: 'delivered' });
  });

  it('has its mark taken back where its lock was lost, unless another has written', async () => {
    const data = buildSignalJob({ isolatedCrashes: 1 });
    const { fail, updates, replaced, aborter } = setup({
      come: async () => {
        aborter.abort(LOCK_LOST);
        return HANDED_BACK;
      },
      job: suspect({ data }),
    });

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    const marked = { ...data, isolatedCrashes: 2 };
    expect(updates).toEqual([marked]);
    expect(replaced).toEqual([[marked, data]]);
  });

  it('is not tried by who cannot mark it any more', async () => {
    const { fail, delivery } = setup({ job: suspect(), jobData: { write: async () => false } });

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect(delivery).toEqual([]);
  });

  it.each([
    { isolatedCrashes: 2, dies: false },
    { isolatedCrashes: 3, dies: true },
    { isolatedCrashes: 4, dies: true },
  ])(
    '$isolatedCrashes times alone is given up untried: $dies',
    async ({ isolatedCrashes, dies }) => {
      const { fail, delivery } = setup({
        come: attempted(RETRY),
        job: suspect({ stalledCounter: 5, data: buildSignalJob({ isolatedCrashes }) }),
      });

      const error = await fail();

      expect(error).toBeInstanceOf(dies ? UnrecoverableError : RetryError);
      if (dies)
        expect(error).toHaveProperty('message', expect.stringMatching(/^STALLED: 5 workers/));
      expect(delivery).toHaveLength(dies ? 0 : 1);
    },
  );

  it('waits for its turn: such signals are tried alone, for a neighbour may be to blame', async () => {
    const running: string[] = [];
    const release: (() => void)[] = [];
    const { fail, updatesOf } = setup({
      come: (entry) => {
        running.push(entry.signalId);
        return new Promise((resolve) => {
          release.push(() => resolve(attempted(RETRY)));
        });
      },
    });
    const jobs = ['one', 'two', 'three'].map((id) => buildJob(suspect({ id })));
    const batching = buildJob({ id: 'in company' });

    const all = [...jobs, batching].map(({ job }) => fail(job));
    await new Promise(setImmediate);
    expect(running).toEqual(['one']);
    // What has no turn yet is not marked: it could not have been the end of its worker.
    expect(jobs.map(({ job }) => updatesOf.get(job)?.length ?? 0)).toEqual([1, 0, 0]);
    for (let turn = 0; turn < 4; turn += 1) {
      release[turn]?.();
      await new Promise(setImmediate);
    }
    await Promise.all(all);

    expect(running).toEqual(['one', 'two', 'three', 'in company']);
  });

  it('is handed back untried and unmarked when it was let go before its turn', async () => {
    const { fail, aborter, delivery, updates } = setup({ job: suspect() });
    aborter.abort('stopping');

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect([delivery, updates]).toEqual([[], []]);
  });

  it('does not hold up the next by a fault of the queue', async () => {
    const broken = buildJob(suspect());
    const { fail, delivery } = setup({
      come: attempted(RETRY),
      jobData: {
        write: (job) =>
          job === broken.job
            ? Promise.reject(new Error('Connection is closed.'))
            : Promise.resolve(true),
      },
    });

    await expect(fail(broken.job)).resolves.toBeInstanceOf(DelayedError);
    await expect(fail(buildJob(suspect()).job)).resolves.toBeInstanceOf(RetryError);
    expect(delivery).toHaveLength(1);
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

  it('of the queue passes through as it is: write', async () => {
    const { fail } = setup({
      come: attempted(RETRY),
      jobData: { write: () => Promise.reject(new Error('Connection is closed.')) },
    });

    await expect(fail()).resolves.toHaveProperty('message', 'Connection is closed.');
  });

  it.each<{ method: string; come: DeliveryResult; thrown: string }>([
    { method: 'moveToWait', come: HANDED_BACK, thrown: 'WaitingError' },
    { method: 'moveToDelayed', come: DEFERRED, thrown: 'DelayedError' },
  ])(
    'spends no attempt of a signal that cannot be moved: $method',
    async ({ method, come, thrown }) => {
      const { fail } = setup({
        come,
        job: { [method]: () => Promise.reject(new Error('Missing lock for job')) },
      });

      await expect(fail()).resolves.toHaveProperty('name', thrown);
    },
  );
});

describe('a job that is another worker’s by now', () => {
  it.each<{ outcome: Outcome }>([{ outcome: RETRY }, { outcome: DEAD }])(
    'is left to it, as far as its data shows: $outcome.kind',
    async ({ outcome }) => {
      const { fail, handedBackWith, putOff } = setup({
        come: attempted(outcome),
        jobData: { write: async () => false },
      });

      await expect(fail()).resolves.toBeInstanceOf(WaitingError);
      expect([handedBackWith, putOff]).toEqual([[], []]);
    },
  );

  it('is left to it, unwritten, where the lock is known to be lost', async () => {
    const { fail, aborter, updates, counted } = setup({ come: attempted(RETRY) });
    aborter.abort(LOCK_LOST);

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    // The attempt was made all the same, and is told.
    expect([updates, counted.length]).toEqual([[], 1]);
  });
});

describe('what is told of an attempt', () => {
  it.each<{ come: DeliveryResult; line: object; labels: object }>([
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

describe('a signal that is skipped', () => {
  const come = attempted({ kind: 'skipped', reason: 'no-token' });

  it('leaves a record of that before it is', async () => {
    const { process, records } = setup({ come });

    const { attempt } = await process();

    expect(records).toMatchObject([
      { signalId: 'signal-1', state: 'skipped', reason: 'no-token', attempts: [attempt] },
    ]);
  });

  it('leaves none where its lock was lost: another worker says what becomes of it', async () => {
    const { fail, records, aborter } = setup({ come });
    aborter.abort('lock lost');

    expect(await fail()).toBeInstanceOf(WaitingError);

    expect(records).toEqual([]);
  });

  it('is put off, with no attempt spent, where the record cannot be left', async () => {
    const { fail, putOff, updates, deferred } = setup({ come, bookkeeping: 'silent' });

    expect(await fail()).toBeInstanceOf(DelayedError);

    expect(putOff).toHaveLength(1);
    expect(deferred).toEqual([{ code: 'QUEUE' }]);
    expect(updates).toMatchObject([{ attempts: [], deferrals: 1 }]);
  });
});
