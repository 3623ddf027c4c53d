import { LOCK_LOST } from '../../src/queue/backend.ts';
import { type SignalJob, SignalJobSchema } from '../../src/schemas/signalJob.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import {
  createIsolation,
  createRunAlone,
  isSuspectedPoison,
  poisonFailureOf,
} from '../../src/worker/poisonSignals.ts';
import { buildSignalJob } from '../support/buildSignal.ts';

const RELEASED: DeliveryResult = { kind: 'released' };
const DEFERRED: DeliveryResult = { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Slow down' };
const DELIVERED: DeliveryResult = { kind: 'attempted', outcome: { kind: 'delivered' } };

const jobOf = (change: object = {}): SignalJob => SignalJobSchema.parse(buildSignalJob(change));

type Doubles = {
  /** Whether the job is still ours, write by write; `true` once they are used up. */
  ours?: (boolean | Error)[];
  replace?: () => Promise<boolean>;
};

/** Records all calls in their order in `calls`. */
const setup = ({ ours = [], replace = async () => true }: Doubles = {}) => {
  const calls: unknown[] = [];
  let writes = 0;
  const isolation = createIsolation({ onChange: () => {} });
  const runAlone = createRunAlone<string>({
    isolation,
    write: async (job, lock, data) => {
      calls.push(['write', job, lock, data.isolatedCrashes]);
      writes += 1;
      const isOurs = ours[writes - 1] ?? true;
      if (isOurs instanceof Error) throw isOurs;
      return isOurs;
    },
    replace: (job, from, to) => {
      calls.push(['replace', job, from.isolatedCrashes, to.isolatedCrashes]);
      return replace();
    },
  });
  const aborter = new AbortController();

  return {
    calls,
    aborter,
    isolation,
    run: (
      attempt: () => DeliveryResult | Promise<DeliveryResult>,
      isolatedCrashes?: number,
      job = 'job',
    ) => {
      const signalJob = jobOf(isolatedCrashes === undefined ? {} : { isolatedCrashes });
      const { signal: abort } = aborter;
      return runAlone({ job, lock: 'lock', signalJob, abort }, async () => {
        calls.push(['attempt', job]);
        return attempt();
      });
    },
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
    const { run, calls } = setup();

    await expect(run(() => result, 1)).resolves.toEqual(result);

    expect(calls).toEqual([
      ['write', 'job', 'lock', 2],
      ['attempt', 'job'],
      ['write', 'job', 'lock', undefined],
    ]);
  });

  it('whose crash count cannot be raised → deferred without an attempt', async () => {
    const { run, calls } = setup({ ours: [new Error('OOM command not allowed')] });

    await expect(run(() => DELIVERED)).resolves.toMatchObject({
      kind: 'deferred',
      code: 'QUEUE',
    });
    expect(calls).toEqual([['write', 'job', 'lock', 1]]);
  });

  it('whose crash count cannot be removed → keeps its result', async () => {
    const { run } = setup({ ours: [true, new Error('Connection is closed.')] });

    await expect(run(() => DELIVERED)).resolves.toEqual(DELIVERED);
  });

  it('beside another attempt → waits for it, and one that comes meanwhile is not made', async () => {
    const { run, calls, isolation } = setup();
    const during = async (name: string) => {
      calls.push([`${name} begins`]);
      await new Promise(setImmediate);
      calls.push([`${name} ends`]);
    };

    await Promise.all([
      isolation.shared(() => during('one')),
      run(() => DELIVERED),
      isolation.shared(() => during('another')),
    ]);

    expect(calls.map((each) => [each].flat().at(0))).toEqual([
      'one begins',
      'one ends',
      'write',
      'attempt',
      'write',
    ]);
  });

  it('beside another suspected one → released without a write or an attempt', async () => {
    const { run, calls } = setup();

    const results = await Promise.all([run(() => DELIVERED), run(() => DELIVERED, 2, 'other')]);

    expect(results).toEqual([DELIVERED, RELEASED]);
    expect(JSON.stringify(calls)).not.toContain('other');
  });

  it('that another worker holds → released without an attempt', async () => {
    const { run, calls } = setup({ ours: [false] });

    await expect(run(() => DELIVERED)).resolves.toEqual(RELEASED);
    expect(calls).toEqual([['write', 'job', 'lock', 1]]);
  });

  it('aborted before its turn → released without a write or an attempt', async () => {
    const { run, calls, aborter } = setup();
    aborter.abort('stopping');

    await expect(run(() => DELIVERED)).resolves.toEqual(RELEASED);
    expect(calls).toEqual([]);
  });

  it.each([
    { isolatedCrashes: undefined, result: RELEASED },
    { isolatedCrashes: 2, result: RELEASED },
    { isolatedCrashes: 2, result: DELIVERED },
  ])(
    'lock lost during the attempt, $result.kind → crash count restored to $isolatedCrashes',
    async (row) => {
      const { run, calls, aborter } = setup({ replace: async () => false });

      const running = run(() => {
        aborter.abort(LOCK_LOST);
        return row.result;
      }, row.isolatedCrashes);

      await expect(running).resolves.toEqual(row.result);
      expect(calls.slice(2)).toEqual([
        ['replace', 'job', (row.isolatedCrashes ?? 0) + 1, row.isolatedCrashes],
      ]);
    },
  );

  it('second write refused because the worker was frozen → crash count restored', async () => {
    const { run, calls } = setup({ ours: [true, false] });

    await expect(run(() => DELIVERED, 2)).resolves.toEqual(DELIVERED);
    expect(calls.at(-1)).toEqual(['replace', 'job', 3, 2]);
  });

  it('after another whose attempt rejected → is attempted', async () => {
    const { run, calls } = setup();

    await expect(run(() => Promise.reject(new Error('bug')), 0, 'one')).rejects.toThrow('bug');
    await expect(run(() => DELIVERED, 0, 'two')).resolves.toEqual(DELIVERED);
    expect(calls).toEqual([
      ['write', 'one', 'lock', 1],
      ['attempt', 'one'],
      ['write', 'two', 'lock', 1],
      ['attempt', 'two'],
      ['write', 'two', 'lock', undefined],
    ]);
  });
});
