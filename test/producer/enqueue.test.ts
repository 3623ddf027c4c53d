import { createEnqueue } from '../../src/producer/enqueue.ts';
import {
  IdempotencyConflictError,
  InvalidSignalError,
  QueueUnavailableError,
} from '../../src/producer/errors.ts';
import { defineWorkflow } from '../../src/producer/workflow/defineWorkflow.ts';
import type { Acceptance, NewSignal } from '../../src/queue/acceptSignals.ts';
import { explainLocalFailure } from '../../src/queue/failure.ts';
import { buildSignal, buildState } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';

const { jest } = import.meta;

type Accept = (signals: NewSignal[]) => Promise<Acceptance[]>;

const takeAll: Accept = async (signals) =>
  signals.map(({ signalId }) => ({
    kind: 'accepted',
    signalId,
    duplicate: false,
    state: 'waiting',
  }));

const setup = (accept: Accept = takeAll) => {
  const taken: NewSignal[][] = [];
  const counted: string[] = [];
  const logs = captureLogs();
  const enqueueAll = createEnqueue({
    queue: {
      accept: (signals) => {
        taken.push(signals);
        return accept(signals);
      },
    },
    parse: {
      allowUnknownTypes: false,
      audience: 'https://graphql.seek.com',
      maxSignalBytes: 65_536,
    },
    explainFailure: explainLocalFailure,
    deadlineMs: 5_000,
    logger: logs.logger,
    onAccepted: (typeCode) => counted.push(typeCode),
  });
  const enqueue = (inputs: unknown[], idempotencyKey?: string) =>
    enqueueAll(inputs, { from: 'careers-site', idempotencyKey });

  return { enqueue, enqueueAll, taken, counted, logs };
};

const other = buildSignal({ token: 'seek-token-2' });
const invalid = buildSignal({ token: ' spaced' });

describe('enqueue', () => {
  it('valid signal → queued in parsed form under its id, and its state is returned', async () => {
    const { enqueue, taken } = setup();

    const [result] = await enqueue([buildSignal({ positionProfileIds: 'p', previous: null })]);

    const [[signal]] = taken as [[NewSignal]];
    expect(signal).toEqual({
      signalId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      contentId: signal.signalId,
      signal: buildSignal({ positionProfileIds: ['p'] }),
      from: 'careers-site',
    });
    expect(result).toStrictEqual({ signalId: signal.signalId, duplicate: false, state: 'waiting' });
  });

  it.each([
    [
      'a long label',
      buildSignal({
        current: buildState({ status: { label: 'x'.repeat(65_536), index: 1, total: 2 } }),
      }),
    ],
    ['characters of several bytes', buildSignal({ token: 'é'.repeat(33_000) })],
    ['characters that JSON escapes', buildSignal({ token: `a${'\u0001'.repeat(11_000)}b` })],
    ['a list of identifiers', buildSignal({ positionProfileIds: Array(10_000).fill('seekAnz:p') })],
    [
      'a timestamp with many digits',
      buildSignal({ timestamp: `2026-03-01T10:00:00.${'0'.repeat(65_536)}Z` }),
    ],
  ])('over 65536 bytes of JSON by %s → rejected with its size and the limit', async (_, signal) => {
    const { enqueue, taken } = setup();

    const [result] = await enqueue([signal]);

    expect(result).toMatchObject({
      invalidFields: {
        '': expect.stringMatching(
          /^Is \d{5,6} bytes of JSON, but MAX_SIGNAL_BYTES allows at most 65536$/,
        ),
      },
    });
    expect(taken.flat()).toEqual([]);
  });

  it('exactly 65536 bytes → accepted, and one more → rejected', async () => {
    const { enqueue } = setup();
    const rest = JSON.stringify(buildSignal({ token: '' })).length;
    const sized = (bytes: number) => buildSignal({ token: 't'.repeat(bytes - rest) });

    const results = await enqueue([sized(65_536), sized(65_537)]);

    expect(results).toEqual([
      expect.objectContaining({ duplicate: false }),
      expect.objectContaining({ invalidFields: { '': expect.stringContaining('65537') } }),
    ]);
  });

  it('too large and otherwise invalid → every problem is named', async () => {
    const { enqueue } = setup();

    const [result] = await enqueue([buildSignal({ token: ` ${'t'.repeat(70_000)}` })]);

    expect(result).toMatchObject({
      invalidFields: { '': expect.any(String), '/token': expect.any(String) },
    });
  });

  it('too large, but accepted before → queued', async () => {
    const { enqueueAll } = setup();
    const sender = { from: 'outbox', anySize: true };

    expect(await enqueueAll([buildSignal({ token: 't'.repeat(70_000) })], sender)).toEqual([
      expect.objectContaining({ duplicate: false }),
    ]);
  });

  it('success: false before the last status → no warning if a workflow created the state', async () => {
    const { enqueue } = setup();
    const steps = [
      'Applied',
      { label: 'Withdrawn', placed: false },
      { label: 'Hired', placed: true },
    ];
    const timestamp = '2026-03-01T10:00:00Z';
    const modelled = defineWorkflow({ steps }).state('Withdrawn', timestamp);
    const signals = [
      buildSignal({ current: modelled }),
      buildSignal({ workflow: { steps }, current: { status: 'Withdrawn', timestamp } }),
      buildSignal({ current: { ...modelled, timestamp: '2026-03-02T10:00:00Z' } }),
    ];

    const results = await enqueue(signals);

    expect(results.map((result) => Object.hasOwn(result, 'warnings'))).toEqual([
      false,
      false,
      true,
    ]);
  });

  it('valid and invalid signals → one result each, in order, and the valid ones are queued', async () => {
    const { enqueue, taken } = setup();

    const results = await enqueue([invalid, buildSignal(), 'nonsense', other]);

    expect(results).toEqual([
      expect.any(InvalidSignalError),
      expect.objectContaining({ duplicate: false }),
      expect.any(InvalidSignalError),
      expect.objectContaining({ duplicate: false }),
    ]);
    expect(results[0]).toHaveProperty('invalidFields', {
      '/token': 'Must not begin or end with white space',
    });
    expect(taken.flat().map(({ signal }) => signal.token)).toEqual([
      'seek-token-1',
      'seek-token-2',
    ]);
  });

  it('equal signals in one call → only the first is queued, the others are duplicates', async () => {
    const { enqueue, taken, counted } = setup();

    const results = await enqueue([
      buildSignal(),
      other,
      buildSignal(),
      buildSignal({ previous: null }),
    ]);

    expect(results).toMatchObject([
      { duplicate: false },
      { duplicate: false },
      { duplicate: true },
      { duplicate: true },
    ]);
    expect(taken.flat()).toHaveLength(2);
    expect(counted).toEqual(['ApplicationStatusUpdate', 'ApplicationStatusUpdate']);
  });

  it('signal that the queue knows → duplicate with its state, and not counted', async () => {
    const { enqueue, counted } = setup(async (signals) =>
      signals.map(({ signalId }) => ({
        kind: 'accepted',
        signalId,
        duplicate: true,
        state: 'dead',
      })),
    );

    expect(await enqueue([buildSignal()])).toMatchObject([{ duplicate: true, state: 'dead' }]);
    expect(counted).toEqual([]);
  });

  it('queue answers in another order → results in the order of the signals', async () => {
    const { enqueue } = setup(async (signals) => (await takeAll(signals)).toReversed());

    const [first, second] = await enqueue([buildSignal(), other]);
    const [alone] = await enqueue([other]);

    expect(second).toHaveProperty('signalId', Reflect.get(Object(alone), 'signalId'));
    expect(first).not.toEqual(second);
  });

  it('conflict of an idempotency key → returned as an error with the signalId of the key', async () => {
    const { enqueue, counted, logs } = setup(async (signals) =>
      signals.map(({ signalId }) => ({ kind: 'conflict', signalId })),
    );

    const [result] = await enqueue([buildSignal()], 'order-17');

    expect(result).toBeInstanceOf(IdempotencyConflictError);
    expect(counted).toEqual([]);
    expect(logs.lines()).toEqual([]);
  });

  it('same idempotency key with other content → same signalId, other contentId', async () => {
    const { enqueue, taken } = setup();

    await enqueue([buildSignal()], 'order-17');
    await enqueue([other], 'order-17');

    const [[one], [two]] = taken as [[NewSignal], [NewSignal]];
    expect(two.signalId).toBe(one.signalId);
    expect(two.contentId).not.toBe(one.contentId);
  });

  it('warnings → returned; no field without warnings', async () => {
    const { enqueue } = setup();
    const current = buildState({ status: { label: 'Interview', index: 9, total: 4 } });

    const [doubtful, fine] = await enqueue([buildSignal({ current }), buildSignal()]);

    expect(doubtful).toHaveProperty('warnings', [
      '/current/status/index: 9 is greater than total 4',
    ]);
    expect(fine).not.toHaveProperty('warnings');
  });

  it('accepted signal → one log line without its token', async () => {
    const { enqueue, logs } = setup();

    const [result] = await enqueue([buildSignal(), invalid]);

    expect(logs.lines()).toEqual([
      expect.objectContaining({
        msg: 'signal.accepted',
        level: 'info',
        signalId: Reflect.get(Object(result), 'signalId'),
        typeCode: 'ApplicationStatusUpdate',
        from: 'careers-site',
        duplicate: false,
      }),
    ]);
    expect(logs.text()).not.toMatch(/seek-token-1|spaced/);
  });

  it('timestamp in a year → rejected', async () => {
    const { enqueue } = setup();
    const inAYear = new Date(Date.now() + 365 * 86_400_000).toISOString();

    const [result] = await enqueue([buildSignal({ current: buildState({ timestamp: inAYear }) })]);

    expect(result).toHaveProperty('invalidFields', { '/current/timestamp': expect.any(String) });
  });
});

describe('enqueue with an unavailable queue', () => {
  it('queue fails → QueueUnavailableError with the cause', async () => {
    const cause = new Error('ECONNREFUSED');
    const { enqueue, counted } = setup(() => Promise.reject(cause));

    await expect(enqueue([buildSignal()])).rejects.toMatchObject({
      name: 'QueueUnavailableError',
      cause,
    });
    expect(counted).toEqual([]);
  });

  it('queue does not answer for a signal → QueueUnavailableError', async () => {
    const { enqueue } = setup(async (signals) => (await takeAll(signals)).slice(1));

    await expect(enqueue([buildSignal(), other])).rejects.toThrow(QueueUnavailableError);
  });

  it('queue never answers → QueueUnavailableError at the time limit', async () => {
    jest.useFakeTimers();
    try {
      const { enqueue } = setup(() => new Promise(() => {}));
      const rejected = expect(enqueue([buildSignal()])).rejects.toThrow(QueueUnavailableError);

      await jest.advanceTimersByTimeAsync(5_000);
      await rejected;
    } finally {
      jest.useRealTimers();
    }
  });

  it('only invalid signals → their problems, without a call to the queue', async () => {
    const { enqueue, taken } = setup(() => Promise.reject(new Error('ECONNREFUSED')));

    await expect(enqueue([invalid])).resolves.toEqual([expect.any(InvalidSignalError)]);
    expect(taken).toEqual([]);
  });
});

describe('enqueue of many signals', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, number) => ({ ...buildSignal(), token: `token-${number}` }));

  it('250 signals → results in order, and each is queued once', async () => {
    const { enqueue, taken } = setup();
    const signals = many(250);
    signals[210] = signals[3] ?? buildSignal();

    const results = await enqueue(signals);

    expect(taken.flat()).toHaveLength(249);
    expect(new Set(taken.flat().map(({ signalId }) => signalId)).size).toBe(249);
    expect(results[210]).toMatchObject({ ...results[3], duplicate: true });
    expect(results.filter((result) => !(result instanceof Error) && result.duplicate)).toEqual([
      results[210],
    ]);
  });

  it('queue fails and reading a later signal throws → no unhandled rejection', async () => {
    const { enqueue, taken } = setup(async () => {
      throw new Error('down');
    });
    const onUnhandled = jest.fn();
    process.on('unhandledRejection', onUnhandled);
    const trap = Object.defineProperty({}, 'typeCode', {
      enumerable: true,
      get: () => {
        throw new RangeError('trap');
      },
    });

    await expect(enqueue([...many(60), trap])).rejects.toThrow('trap');
    await new Promise(setImmediate);

    process.off('unhandledRejection', onUnhandled);
    expect(taken).toHaveLength(1);
    expect(onUnhandled).not.toHaveBeenCalled();
  });

  it('caller changes the signals after the call → the original ones are queued', async () => {
    const { enqueue, taken } = setup();
    const signals = many(150);

    const enqueueing = enqueue(signals);
    for (const signal of signals) signal.token = 'reused';
    signals.length = 0;

    await expect(enqueueing).resolves.toHaveLength(150);
    expect(new Set(taken.flat().map(({ signal }) => signal.token)).size).toBe(150);
  });
});
