import { createJobPool } from '../../src/queue/jobPool.ts';
import { isObject } from '../../src/schemas/json.ts';
import { type SignalJob, SignalJobSchema } from '../../src/schemas/signalJob.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import {
  createRunAlone,
  isSuspectedPoison,
  poisonFailureOf,
} from '../../src/worker/poisonSignals.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { buildTakenJob, createMemoryJobSource } from '../support/memoryJobSource.ts';

const RELEASED: DeliveryResult = { kind: 'released' };
const DEFERRED: DeliveryResult = { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Slow down' };
const DELIVERED: DeliveryResult = { kind: 'attempted', outcome: { kind: 'delivered' } };

const jobOf = (change: object = {}): SignalJob => SignalJobSchema.parse(buildSignalJob(change));

type Doubles = {
  /** Whether the job is still ours, write by write; `true` once they are used up. */
  ours?: (boolean | Error)[];
  replace?: () => Promise<boolean>;
};

const crashesOf = (data: unknown) => (isObject(data) ? data.isolatedCrashes : undefined);

type Attempt = () => DeliveryResult | Promise<DeliveryResult>;

/** Records all calls in their order in `calls`. */
const setup = ({ ours = [], replace = async () => true }: Doubles = {}) => {
  const calls: unknown[] = [];
  let writes = 0;
  const { source, add } = createMemoryJobSource();
  const pool = createJobPool<undefined>({ source, capacity: 50, logger: captureLogs().logger });
  const aborter = new AbortController();
  const runAlone = createRunAlone({
    pool,
    jobData: {
      write: async ({ id }, data) => {
        calls.push(['write', id, crashesOf(data)]);
        writes += 1;
        const isOurs = ours[writes - 1] ?? true;
        if (isOurs instanceof Error) throw isOurs;
        return isOurs;
      },
      replace: ({ id }, from, to) => {
        calls.push(['replace', id, crashesOf(from), crashesOf(to)]);
        return replace();
      },
    },
    abort: aborter.signal,
  });
  const job = buildTakenJob({ id: 'job' });
  const other = buildTakenJob({ id: 'other' });

  return {
    calls,
    aborter,
    pool,
    job,
    other,
    /** Takes both jobs. Resolves with the results of `work`, when the pool holds neither of them any more. */
    take: async <T>(work: () => Promise<T>): Promise<T> => {
      add(job, other);
      await new Promise<void>((resolve) => pool.start(async () => resolve()));
      const result = await work().finally(() => {
        pool.release(job);
        pool.release(other);
      });
      await pool.close();
      return result;
    },
    run: (attempt: Attempt, isolatedCrashes?: number, taken = job) =>
      runAlone(taken, jobOf(isolatedCrashes === undefined ? {} : { isolatedCrashes }), async () => {
        calls.push(['attempt', taken.id]);
        return attempt();
      }),
  };
};

/** As `setup`, with only one job in flight: the suspected one. */
const setupAlone = (doubles: Doubles = {}) => {
  const subject = setup(doubles);
  return {
    ...subject,
    run: (attempt: Attempt, isolatedCrashes?: number) =>
      subject.take(() => {
        subject.pool.release(subject.other);
        return subject.run(attempt, isolatedCrashes);
      }),
  };
};

describe('isSuspectedPoison', () => {
  it.each([
    { stalledCounter: 0, suspected: false },
    { stalledCounter: 1, suspected: false },
    { stalledCounter: 2, suspected: true },
    { stalledCounter: 9, suspected: true },
  ])('stalled $stalledCounter times → $suspected', (row) => {
    expect(isSuspectedPoison(row)).toBe(row.suspected);
  });
});

describe('poisonFailureOf', () => {
  it.each([
    { isolatedCrashes: undefined, poison: false },
    { isolatedCrashes: 2, poison: false },
    { isolatedCrashes: 3, poison: true },
  ])('$isolatedCrashes crashes in isolation → poison: $poison', ({ isolatedCrashes, poison }) => {
    const failure = poisonFailureOf({ stalledCounter: 5 }, jobOf({ isolatedCrashes }));

    if (!poison) expect(failure).toBeUndefined();
    else expect(failure).toMatch(/^STALLED: 5 workers crashed .* the last 3 of them/);
  });
});

describe('suspected signal', () => {
  it.each<{ what: string; result: DeliveryResult }>([
    { what: 'deferred', result: DEFERRED },
    { what: 'released', result: RELEASED },
    { what: 'delivered', result: DELIVERED },
  ])('that ends $what → crash count raised, attempt, crash count removed', async ({ result }) => {
    const { run, calls } = setupAlone();

    await expect(run(() => result, 1)).resolves.toEqual(result);

    expect(calls).toEqual([
      ['write', 'job', 2],
      ['attempt', 'job'],
      ['write', 'job', undefined],
    ]);
  });

  it('whose crash count cannot be raised → deferred without an attempt', async () => {
    const { run, calls } = setupAlone({ ours: [new Error('OOM command not allowed')] });

    await expect(run(() => DELIVERED)).resolves.toMatchObject({
      kind: 'deferred',
      code: 'QUEUE',
    });
    expect(calls).toEqual([['write', 'job', 1]]);
  });

  it('whose crash count cannot be removed → keeps its result', async () => {
    const { run } = setupAlone({ ours: [true, new Error('Connection is closed.')] });

    await expect(run(() => DELIVERED)).resolves.toEqual(DELIVERED);
  });

  it('beside another attempt → waits for it, without a write', async () => {
    const { take, run, calls, pool, other } = setup();

    await take(async () => {
      const running = run(() => DELIVERED);
      await new Promise(setImmediate);
      calls.push(['other ends']);
      pool.release(other);
      await running;
    });

    expect(calls.map((call) => [call].flat()[0])).toEqual([
      'other ends',
      'write',
      'attempt',
      'write',
    ]);
  });

  it('beside another suspected one → released without a write or an attempt', async () => {
    const { take, run, calls, pool, other } = setup();

    const results = await take(() =>
      Promise.all([
        run(() => DELIVERED),
        run(() => DELIVERED, 2, other).finally(() => pool.release(other)),
      ]),
    );

    expect(results).toEqual([DELIVERED, RELEASED]);
    expect(JSON.stringify(calls)).not.toContain('other');
  });

  it('that another worker holds → released without an attempt', async () => {
    const { run, calls } = setupAlone({ ours: [false] });

    await expect(run(() => DELIVERED)).resolves.toEqual(RELEASED);
    expect(calls).toEqual([['write', 'job', 1]]);
  });

  it('the worker stops before its turn → released without a write or an attempt', async () => {
    const { run, calls, aborter } = setupAlone();
    aborter.abort('stopping');

    await expect(run(() => DELIVERED)).resolves.toEqual(RELEASED);
    expect(calls).toEqual([]);
  });

  it('lock lost while it waits for its turn → released without a write or an attempt', async () => {
    const { take, run, calls, pool, job } = setup();

    const result = await take(() => {
      const running = run(() => DELIVERED);
      pool.release(job);
      return running;
    });

    expect([result, calls]).toEqual([RELEASED, []]);
  });

  it.each([
    { isolatedCrashes: undefined, result: RELEASED },
    { isolatedCrashes: 2, result: RELEASED },
    { isolatedCrashes: 2, result: DELIVERED },
  ])(
    'lock lost during the attempt, $result.kind → crash count restored to $isolatedCrashes',
    async (row) => {
      const { run, calls, pool, job } = setupAlone({ replace: async () => false });

      const running = run(() => {
        pool.release(job);
        return row.result;
      }, row.isolatedCrashes);

      await expect(running).resolves.toEqual(row.result);
      expect(calls.slice(2)).toEqual([
        ['replace', 'job', (row.isolatedCrashes ?? 0) + 1, row.isolatedCrashes],
      ]);
    },
  );

  it('second write refused because the worker was frozen → crash count restored', async () => {
    const { run, calls } = setupAlone({ ours: [true, false] });

    await expect(run(() => DELIVERED, 2)).resolves.toEqual(DELIVERED);
    expect(calls.at(-1)).toEqual(['replace', 'job', 3, 2]);
  });

  it('crash count cannot be restored → keeps its result', async () => {
    const { run } = setupAlone({
      ours: [true, false],
      replace: () => Promise.reject(new Error('Connection is closed.')),
    });

    await expect(run(() => DELIVERED)).resolves.toEqual(DELIVERED);
  });

  it('after another whose attempt rejected → is attempted', async () => {
    const { take, run, calls, pool, job, other } = setup();

    await take(async () => {
      const rejected = expect(run(() => Promise.reject(new Error('bug')), 0, other)).rejects;
      pool.release(job);
      await rejected.toThrow('bug');
      await expect(run(() => DELIVERED, 0, other)).resolves.toEqual(DELIVERED);
    });

    expect(calls).toEqual([
      ['write', 'other', 1],
      ['attempt', 'other'],
      ['write', 'other', 1],
      ['attempt', 'other'],
      ['write', 'other', undefined],
    ]);
  });
});
