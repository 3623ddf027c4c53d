import { LOCK_LOST } from '../../src/queue/backend.ts';
import type { SignalJob } from '../../src/schemas/signalJob.ts';
import { SignalJobSchema } from '../../src/schemas/signalJob.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import {
  crashRecordOf,
  createExclusiveLock,
  createRunExclusively,
  isSuspectedPoison,
} from '../../src/worker/poisonSignals.ts';
import { buildSignalJob } from '../support/buildSignal.ts';

const HANDED_BACK: DeliveryResult = { kind: 'released' };
const DEFERRED: DeliveryResult = { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Slow down' };
const DELIVERED: DeliveryResult = { kind: 'attempted', outcome: { kind: 'delivered' } };

const jobOf = (change: object = {}): SignalJob => SignalJobSchema.parse(buildSignalJob(change));

type Doubles = {
  /** Whether the job is still ours, write by write; `true` once they are used up. */
  ours?: (boolean | Error)[];
  replace?: () => Promise<boolean>;
};

/** What was done, one after the other. */
const setup = ({ ours = [], replace = async () => true }: Doubles = {}) => {
  const done: unknown[] = [];
  let writes = 0;
  const exclusiveLock = createExclusiveLock();
  const runExclusively = createRunExclusively<string>({
    exclusiveLock,
    write: async (job, lock, data) => {
      done.push(['write', job, lock, data.isolatedCrashes]);
      writes += 1;
      const isOurs = ours[writes - 1] ?? true;
      if (isOurs instanceof Error) throw isOurs;
      return isOurs;
    },
    replace: (job, from, to) => {
      done.push(['replace', job, from.isolatedCrashes, to.isolatedCrashes]);
      return replace();
    },
  });
  const aborter = new AbortController();

  return {
    ...{ done, aborter, exclusiveLock },
    try: (
      come: () => DeliveryResult | Promise<DeliveryResult>,
      isolatedCrashes?: number,
      job = 'job',
    ) => {
      const signalJob = jobOf(isolatedCrashes === undefined ? {} : { isolatedCrashes });
      const entry = { signalId: job, signal: signalJob.signal, abort: aborter.signal };
      return runExclusively({ job, lock: 'lock', signalJob, entry }, async () => {
        done.push(['try', job]);
        return come();
      });
    },
  };
};

describe('a signal', () => {
  it.each([
    { stalledCounter: 0, suspect: false },
    { stalledCounter: 1, suspect: false },
    { stalledCounter: 2, suspect: true },
    { stalledCounter: 9, suspect: true },
  ])('whose workers were lost $stalledCounter times is suspect: $suspect', (row) => {
    expect(isSuspectedPoison(row)).toBe(row.suspect);
  });

  it.each([
    { isolatedCrashes: undefined, guilty: false },
    { isolatedCrashes: 2, guilty: false },
    { isolatedCrashes: 3, guilty: true },
  ])(
    'of which $isolatedCrashes died while it was alone is guilty: $guilty',
    ({ isolatedCrashes, guilty }) => {
      const guilt = crashRecordOf({ stalledCounter: 5 }, jobOf({ isolatedCrashes }));

      if (!guilty) expect(guilt).toBeUndefined();
      else expect(guilt).toMatch(/^STALLED: 5 workers died .* the last 3 of them/);
    },
  );
});

describe('a suspect', () => {
  it.each<{ what: string; come: DeliveryResult }>([
    { what: 'deferred', come: DEFERRED },
    { what: 'handed back', come: HANDED_BACK },
    { what: 'delivered', come: DELIVERED },
  ])('is marked, tried, and the mark is struck out: $what', async ({ come }) => {
    const { try: attempt, done } = setup();

    await expect(attempt(() => come, 1)).resolves.toEqual(come);

    expect(done).toEqual([
      ['write', 'job', 'lock', 2],
      ['try', 'job'],
      ['write', 'job', 'lock', undefined],
    ]);
  });

  it('is not tried, and spends nothing, where it cannot be marked: Redis is full', async () => {
    const { try: attempt, done } = setup({ ours: [new Error('OOM command not allowed')] });

    await expect(attempt(() => DELIVERED)).resolves.toMatchObject({
      ...{ kind: 'deferred', code: 'QUEUE' },
    });
    expect(done).toEqual([['write', 'job', 'lock', 1]]);
  });

  it('keeps its outcome where the mark cannot be struck out', async () => {
    const { try: attempt } = setup({ ours: [true, new Error('Connection is closed.')] });

    await expect(attempt(() => DELIVERED)).resolves.toEqual(DELIVERED);
  });

  it('waits for what is under way, and what comes after waits for it', async () => {
    const { try: attempt, done, exclusiveLock } = setup();
    const during = async (name: string) => {
      done.push([`${name} begins`]);
      await new Promise(setImmediate);
      done.push([`${name} ends`]);
    };

    await Promise.all([
      exclusiveLock.together(() => during('one')),
      attempt(() => DELIVERED),
      exclusiveLock.together(() => during('another')),
    ]);

    expect(done.map((each) => [each].flat().at(0))).toEqual([
      ...['one begins', 'one ends', 'write', 'try', 'write', 'another begins', 'another ends'],
    ]);
  });

  it('that is another’s by now is not tried', async () => {
    const { try: attempt, done } = setup({ ours: [false] });

    await expect(attempt(() => DELIVERED)).resolves.toEqual(HANDED_BACK);
    expect(done).toEqual([['write', 'job', 'lock', 1]]);
  });

  it('that was let go before its turn is neither marked nor tried', async () => {
    const { try: attempt, done, aborter } = setup();
    aborter.abort('stopping');

    await expect(attempt(() => DELIVERED)).resolves.toEqual(HANDED_BACK);
    expect(done).toEqual([]);
  });

  it.each([
    { isolatedCrashes: undefined, come: HANDED_BACK },
    { isolatedCrashes: 2, come: HANDED_BACK },
    { isolatedCrashes: 2, come: DELIVERED },
  ])('whose lock is lost under it is as it was: $isolatedCrashes, $come.kind', async (row) => {
    const { try: attempt, done, aborter } = setup({ replace: async () => false });

    const tried = attempt(() => {
      aborter.abort(LOCK_LOST);
      return row.come;
    }, row.isolatedCrashes);

    await expect(tried).resolves.toEqual(row.come);
    expect(done.slice(2)).toEqual([
      ['replace', 'job', (row.isolatedCrashes ?? 0) + 1, row.isolatedCrashes],
    ]);
  });

  it('whose lock turns out to be lost is as it was, too: its worker was frozen, and lives', async () => {
    const { try: attempt, done } = setup({ ours: [true, false] });

    await expect(attempt(() => DELIVERED, 2)).resolves.toEqual(DELIVERED);
    expect(done.at(-1)).toEqual(['replace', 'job', 3, 2]);
  });

  it('is tried when the one before it has come to its end, were that a fault', async () => {
    const { try: attempt, done } = setup();

    const first = attempt(() => Promise.reject(new Error('bug')), 0, 'one');
    const second = attempt(() => DELIVERED, 0, 'two');

    await expect(first).rejects.toThrow('bug');
    await expect(second).resolves.toEqual(DELIVERED);
    expect(done).toEqual([
      ['write', 'one', 'lock', 1],
      ['try', 'one'],
      ['write', 'two', 'lock', 1],
      ['try', 'two'],
      ['write', 'two', 'lock', undefined],
    ]);
  });
});
