import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import { buildSignalJob } from '../support/buildSignal.ts';
import { buildTakenJob } from '../support/memoryJobSource.ts';
import {
  attempted,
  DEAD,
  DEFERRED,
  DELIVERED,
  DURATION_MS,
  RELEASED,
  RETRY,
  setup,
} from './setupAttempts.ts';

describe('signal whose workers crashed', () => {
  const suspected = (change: object = {}) => ({ stalledCounter: 2, ...change });

  it.each([
    { stalledCounter: 0, together: true },
    { stalledCounter: 1, together: true },
    { stalledCounter: 2, together: false },
    { stalledCounter: 17, together: false },
  ])(
    'stalled $stalledCounter times → is delivered together with others: $together',
    async ({ stalledCounter, together }) => {
      const { run, sets, sentAlone } = setup({ job: { stalledCounter } });

      await run();

      expect([sets, sentAlone]).toEqual(together ? [[['signal-1']], []] : [[], ['signal-1']]);
    },
  );

  it('suspected → its crash count is raised before the attempt', async () => {
    let marked: unknown;
    const { run, updates } = setup({
      result: () => {
        marked = [...updates];
        return attempted(RETRY);
      },
      job: suspected({ data: buildSignalJob({ isolatedCrashes: 1 }) }),
    });

    await run();

    expect(marked).toEqual([{ ...buildSignalJob(), isolatedCrashes: 2 }]);
  });

  it.each<{ what: string; result: DeliveryResult; how: string }>([
    { what: 'retry', result: attempted(RETRY), how: 'retry' },
    { what: 'dead', result: attempted(DEAD), how: 'fail' },
    { what: 'deferred', result: DEFERRED, how: 'delay' },
    { what: 'released', result: RELEASED, how: 'requeue' },
    { what: 'delivered', result: DELIVERED, how: 'complete' },
  ])('suspected, attempt ends with $what → its crash count is removed', async ({ result, how }) => {
    const job = suspected({ data: buildSignalJob({ isolatedCrashes: 1 }) });
    const { run, updates, ends } = setup({ result, job });

    await run();

    expect(updates.at(0)).toHaveProperty('isolatedCrashes', 2);
    expect(updates.at(-1)).not.toHaveProperty('isolatedCrashes');
    expect(ends.map(([end]) => end)).toEqual([how]);
  });

  it('not suspected any more → its crash count is removed with the attempt', async () => {
    const data = buildSignalJob({ isolatedCrashes: 2 });
    const { run, updates } = setup({ result: attempted(RETRY), job: { data } });

    await run();

    expect(updates).toHaveLength(1);
    expect(updates[0]).not.toHaveProperty('isolatedCrashes');
  });

  it('suspected, lock is lost → its crash count is restored, and the job is left alone', async () => {
    const data = buildSignalJob({ isolatedCrashes: 1 });
    const subject = setup({
      result: () => {
        subject.lose();
        return RELEASED;
      },
      job: suspected({ data }),
    });
    const { run, updates, replaced, ends } = subject;

    await run();

    const marked = { ...data, isolatedCrashes: 2 };
    expect(updates).toEqual([marked]);
    expect(replaced).toEqual([[marked, data]]);
    expect(ends).toEqual([]);
  });

  it('suspected, held by another worker → is not attempted', async () => {
    const subject = setup({
      job: suspected(),
      jobData: {
        write: async (job) => {
          subject.loseLock(job);
          return false;
        },
      },
    });
    const { run, delivered, ends, pool, job } = subject;

    await run();

    expect([delivered, ends, pool.holds(job)]).toEqual([[], [], false]);
  });

  it.each([
    { isolatedCrashes: 2, effect: 'is attempted' },
    { isolatedCrashes: 3, effect: 'fails as STALLED without an attempt' },
    { isolatedCrashes: 4, effect: 'fails as STALLED without an attempt' },
  ])('$isolatedCrashes crashes in isolation → $effect', async ({ isolatedCrashes }) => {
    const isPoison = isolatedCrashes >= 3;
    const { run, delivered, ends, failed } = setup({
      result: attempted(RETRY),
      job: suspected({ stalledCounter: 5, data: buildSignalJob({ isolatedCrashes }) }),
    });

    await run();

    const stalled = ['fail', 'signal-1', expect.stringMatching(/^STALLED: 5 workers/)];
    expect(ends).toEqual([isPoison ? stalled : ['retry', 'signal-1', expect.any(String), 2_000]]);
    expect(delivered).toHaveLength(isPoison ? 0 : 1);
    expect(failed).toEqual(isPoison ? ['signal-1'] : []);
  });

  it('two suspected signals beside another → it is delivered first, one runs alone, one goes back', async () => {
    const order: string[] = [];
    const { run, updatesOf, ends } = setup({
      result: async ({ job }) => {
        order.push(`${job.id} starts`);
        await new Promise(setImmediate);
        order.push(`${job.id} ends`);
        return attempted(RETRY);
      },
    });
    const [one, two] = ['one', 'two'].map((id) => buildTakenJob(suspected({ id })));
    const plain = buildTakenJob({ id: 'plain' });

    await run(...[one, two, plain].filter((job) => job !== undefined));

    expect(order).toEqual(['plain starts', 'plain ends', 'one starts', 'one ends']);
    expect(ends.map(([how, id]) => `${id} ${how}`)).toEqual([
      'two requeue',
      'plain retry',
      'one retry',
    ]);
    // It has no raised count: it could not have caused a crash.
    expect(updatesOf.get('two')).toBeUndefined();
  });

  it('suspected → the time of its attempt does not include its wait', async () => {
    const { run, ends } = setup({ job: suspected() });

    await run(buildTakenJob({ id: 'plain' }), buildTakenJob(suspected({ id: 'one' })));

    expect(ends.map(([, id]) => id)).toEqual(['plain', 'one']);
    expect(ends[1]).toMatchObject(['complete', 'one', { attempt: { durationMs: DURATION_MS } }]);
  });

  it('suspected, the worker stopped before its turn → is released without an attempt or a write', async () => {
    const { run, delivered, updates, ends } = setup({
      job: suspected(),
      abort: AbortSignal.abort('stopping'),
    });

    await run();

    expect(ends).toEqual([['requeue', 'signal-1']]);
    expect([delivered, updates]).toEqual([[], []]);
  });

  it('suspected, its crash count cannot be raised → is deferred without an attempt', async () => {
    const { run, delivered, ends, deferred } = setup({
      job: suspected(),
      jobData: { write: () => Promise.reject(new Error('Connection is closed.')) },
    });

    await run();

    expect(ends.map(([how]) => how)).toEqual(['delay']);
    expect(delivered).toEqual([]);
    expect(deferred).toEqual([{ code: 'QUEUE' }]);
  });
});
