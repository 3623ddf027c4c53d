import { buildSignal, buildSignalJob } from '../support/buildSignal.ts';
import { buildTakenJob } from '../support/memoryJobSource.ts';
import { ACCEPTED_AT, HOUR_MS, setup } from './setupAttempts.ts';

describe('set of jobs', () => {
  const plain = (id: string) => buildTakenJob({ id });
  const NEWER = buildTakenJob({ id: 'newer', data: { version: 5 } });
  const UNREADABLE = buildTakenJob({ id: 'unreadable', data: 's3cret' });
  const POISON = buildTakenJob({
    id: 'poison',
    stalledCounter: 5,
    data: buildSignalJob({ isolatedCrashes: 3 }),
  });
  const SUSPECTED = buildTakenJob({ id: 'suspected', stalledCounter: 2 });

  it('plain jobs → are delivered together, each with its parsed signal', async () => {
    const { run, sets, delivered, sentAlone } = setup();

    await run(plain('one'), plain('two'), plain('three'));

    expect(sets).toEqual([['one', 'two', 'three']]);
    expect(sentAlone).toEqual([]);
    expect(delivered.map(({ signalJob }) => signalJob)).toMatchObject(
      Array(3).fill({ signal: buildSignal(), acceptedAt: buildSignalJob().acceptedAt }),
    );
  });

  it('others among plain ones → leave the set, and each job ends once', async () => {
    const { run, sets, sentAlone, ends } = setup();

    await run(plain('one'), NEWER, POISON, plain('two'), SUSPECTED, UNREADABLE, plain('three'));

    expect(sets).toEqual([['one', 'two', 'three']]);
    expect(sentAlone).toEqual(['suspected']);
    expect(ends.map(([how, id]) => `${id} ${how}`).toSorted()).toEqual([
      'newer delay',
      'one complete',
      'poison fail',
      'suspected complete',
      'three complete',
      'two complete',
      'unreadable fail',
    ]);
  });

  it('no plain job among them → nothing is delivered as a set', async () => {
    const { run, sets } = setup();

    await run(NEWER, UNREADABLE);

    expect(sets).toEqual([]);
  });

  it('the queue does not end those that leave it → the others are delivered', async () => {
    const rejects = () => Promise.reject(new Error('Missing lock for job'));
    const { run, ends, pool } = setup({ source: { fail: rejects, delay: rejects } });

    await run(plain('one'), NEWER, UNREADABLE, plain('two'));

    expect(ends.map(([how, id]) => `${id} ${how}`)).toEqual(['one complete', 'two complete']);
    expect([NEWER, UNREADABLE].filter(pool.holds)).toEqual([]);
  });

  it('fault of ours → no job of the set is held any more, and none has ended', async () => {
    const { run, ends, pool, logs } = setup({
      deliver: () => ({
        deliverSet: () => Promise.reject(new TypeError('bug')),
        deliverAlone: () => Promise.reject(new TypeError('bug')),
      }),
    });
    const jobs = [plain('one'), plain('two')];

    await run(...jobs);

    expect([ends, jobs.filter(pool.holds)]).toEqual([[], []]);
    expect(logs.lines()).toMatchObject([
      { level: 'error', msg: 'Failed to run jobs; they will be repeated' },
    ]);
  });
});

describe('content of a job', () => {
  it.each([
    { what: 'an unknown version', data: buildSignalJob({ version: 0 }), says: '/version' },
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
    { what: 'only a text', data: 's3cret', says: '/: ' },
    { what: 'nothing', data: null, says: '/: ' },
    {
      what: 'a secret in every field',
      data: Object.fromEntries(
        Object.keys(buildSignalJob()).map((key) => [key, { s3cret: 's3cret' }]),
      ),
      says: '/acceptedAt: ',
    },
  ])(
    'data with $what → fails as UNREADABLE, names fields and repeats no value',
    async ({ data, says }) => {
      const { run, delivered, updates, ends, failed, counted } = setup({ job: { data } });

      await run();

      expect(ends).toEqual([['fail', 'signal-1', expect.stringContaining(says)]]);
      expect(ends).toEqual([['fail', 'signal-1', expect.stringMatching(/^UNREADABLE: /)]]);
      expect(JSON.stringify(ends).replaceAll('/s3cret', '')).not.toContain('s3cret');
      expect(failed).toEqual(['signal-1']);
      expect([delivered, updates, counted]).toEqual([[], [], []]);
    },
  );
});

describe('job of a newer version', () => {
  const data = { version: 5, something: 'else' };

  it.each([{ ageMs: 0 }, { ageMs: 72 * HOUR_MS - 1 }])(
    '$ageMs ms old → is delayed for a newer worker and not attempted',
    async ({ ageMs }) => {
      const { run, delivered, updates, ends, counted, logs, unsent } = setup({
        job: { data },
        ageMs,
      });

      await run();

      expect(ends).toEqual([['delay', 'signal-1', ACCEPTED_AT + ageMs + 15_000]]);
      expect([delivered, updates, counted]).toEqual([[], [], []]);
      expect(unsent).toEqual(['signal-1']);
      expect(logs.lines()).toMatchObject([
        { level: 'info', msg: 'signal.leftForNewerVersion', signalId: 'signal-1', version: 5 },
      ]);
    },
  );

  it('as old as the maximum age → fails as UNREADABLE', async () => {
    const { run, ends } = setup({ job: { data }, ageMs: 72 * HOUR_MS });

    await run();

    const failure = expect.stringMatching(/^UNREADABLE: .*newer.*\(5\)/);
    expect(ends).toEqual([['fail', 'signal-1', failure]]);
  });
});
