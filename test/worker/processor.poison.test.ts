import { DelayedError, UnrecoverableError, WaitingError } from 'bullmq';

import { LOCK_LOST } from '../../src/queue/backend.ts';
import type { DeliveryResult } from '../../src/worker/delivery/bisectBatch.ts';
import { RetryError } from '../../src/worker/processor.ts';
import { buildSignal, buildSignalJob } from '../support/buildSignal.ts';
import { attempted, buildJob, DEAD, DEFERRED, RELEASED, RETRY, setup } from './setupProcessor.ts';

describe('signal whose workers crashed', () => {
  const suspected = (change: object = {}) => ({ stalledCounter: 2, ...change });

  it.each([
    { stalledCounter: 0, batching: 'allowed' },
    { stalledCounter: 1, batching: 'allowed' },
    { stalledCounter: 2, batching: 'never' },
    { stalledCounter: 17, batching: 'never' },
  ])(
    'stalled $stalledCounter times → is attempted with batching $batching',
    async ({ stalledCounter, batching }) => {
      const { process, deliveries, abort } = setup({ job: { stalledCounter } });

      await process();

      const inFlight = {
        signalId: 'signal-1',
        signal: buildSignal(),
        acceptedAt: buildSignalJob().acceptedAt,
        abort,
      };
      expect(deliveries).toEqual([[inFlight, batching]]);
    },
  );

  it('suspected → its crash count is raised before the attempt', async () => {
    let marked: unknown;
    const { fail, updates } = setup({
      result: async () => {
        marked = [...updates];
        return attempted(RETRY);
      },
      job: suspected({ data: buildSignalJob({ isolatedCrashes: 1 }) }),
    });

    await fail();

    expect(marked).toEqual([{ ...buildSignalJob(), isolatedCrashes: 2 }]);
  });

  it.each<{ what: string; result: DeliveryResult | Error }>([
    { what: 'retry', result: attempted(RETRY) },
    { what: 'dead', result: attempted(DEAD) },
    { what: 'an internal error', result: new TypeError('bug') },
    { what: 'deferred', result: DEFERRED },
    { what: 'released', result: RELEASED },
  ])('suspected, attempt ends with $what → its crash count is removed', async ({ result }) => {
    const { fail, updates } = setup({ result, job: suspected() });

    await fail();

    expect(updates.at(0)).toHaveProperty('isolatedCrashes', 1);
    expect(updates.at(-1)).not.toHaveProperty('isolatedCrashes');
  });

  it('suspected, but delivered → completes', async () => {
    const { process } = setup({ job: suspected() });

    await expect(process()).resolves.toMatchObject({ outcome: 'delivered' });
  });

  it('suspected, lock is lost → its crash count is restored', async () => {
    const data = buildSignalJob({ isolatedCrashes: 1 });
    const { fail, updates, replaced, aborter } = setup({
      result: async () => {
        aborter.abort(LOCK_LOST);
        return RELEASED;
      },
      job: suspected({ data }),
    });

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    const marked = { ...data, isolatedCrashes: 2 };
    expect(updates).toEqual([marked]);
    expect(replaced).toEqual([[marked, data]]);
  });

  it('suspected, held by another worker → is not attempted', async () => {
    const { fail, deliveries } = setup({ job: suspected(), jobData: { write: async () => false } });

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect(deliveries).toEqual([]);
  });

  it.each([
    { isolatedCrashes: 2, effect: 'is attempted' },
    { isolatedCrashes: 3, effect: 'fails as STALLED without an attempt' },
    { isolatedCrashes: 4, effect: 'fails as STALLED without an attempt' },
  ])('$isolatedCrashes crashes in isolation → $effect', async ({ isolatedCrashes }) => {
    const isPoison = isolatedCrashes >= 3;
    const { fail, deliveries } = setup({
      result: attempted(RETRY),
      job: suspected({ stalledCounter: 5, data: buildSignalJob({ isolatedCrashes }) }),
    });

    const error = await fail();

    expect(error).toBeInstanceOf(isPoison ? UnrecoverableError : RetryError);
    if (isPoison)
      expect(error).toHaveProperty('message', expect.stringMatching(/^STALLED: 5 workers/));
    expect(deliveries).toHaveLength(isPoison ? 0 : 1);
  });

  it('several suspected signals and another → one runs alone, the others return to the queue', async () => {
    const running: string[] = [];
    let finish = () => {};
    const { fail, updatesOf, isolations } = setup({
      result: (entry) => {
        running.push(entry.signalId);
        return new Promise((resolve) => {
          finish = () => resolve(attempted(RETRY));
        });
      },
    });
    const one = buildJob(suspected({ id: 'one' }));
    const others = [suspected({ id: 'two' }), { id: 'three' }].map(buildJob);

    const first = fail(one.job);
    const errors = await Promise.all(others.map(({ job }) => fail(job)));
    await new Promise(setImmediate);

    expect(running).toEqual(['one']);
    expect(errors).toEqual([expect.any(WaitingError), expect.any(WaitingError)]);
    expect(others.map(({ requeuedWith }) => requeuedWith.length)).toEqual([1, 1]);
    // They have no raised count: they could not have caused a crash.
    expect(others.map(({ job }) => updatesOf.get(job))).toEqual([undefined, undefined]);
    expect(isolations).toEqual([true]);
    finish();
    await expect(first).resolves.toBeInstanceOf(RetryError);
    expect(isolations).toEqual([true, false]);
  });

  it('suspected, aborted before its turn → is released without an attempt or a write', async () => {
    const { fail, aborter, deliveries, updates } = setup({ job: suspected() });
    aborter.abort('stopping');

    await expect(fail()).resolves.toBeInstanceOf(WaitingError);
    expect([deliveries, updates]).toEqual([[], []]);
  });

  it('write fails for one suspected signal → the next one is attempted', async () => {
    const broken = buildJob(suspected());
    const { fail, deliveries } = setup({
      result: attempted(RETRY),
      jobData: {
        write: (job) =>
          job === broken.job
            ? Promise.reject(new Error('Connection is closed.'))
            : Promise.resolve(true),
      },
    });

    await expect(fail(broken.job)).resolves.toBeInstanceOf(DelayedError);
    await expect(fail(buildJob(suspected()).job)).resolves.toBeInstanceOf(RetryError);
    expect(deliveries).toHaveLength(1);
  });
});
