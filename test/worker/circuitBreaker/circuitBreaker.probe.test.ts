import type { BreakerStore } from '../../../src/queue/breakerState.ts';
import { SignalJobSchema } from '../../../src/schemas/signalJob.ts';
import { createDeliverSet } from '../../../src/worker/delivery/deliverSet.ts';
import { buildSignalJob } from '../../support/buildSignal.ts';
import { buildTakenJob } from '../../support/memoryJobSource.ts';
import {
  advance,
  advanceToProbe,
  CERTAIN_FAILURE,
  countProbers,
  FAILING,
  HEALTHY,
  STALE_AFTER_MS,
  useWorkers,
  type Worker,
} from './useWorkers.ts';

const { setup } = useWorkers();

/** A store that fails once its worker has crashed. Other workers cannot tell the two apart. */
const crashable =
  (worker: { crashed: boolean }) =>
  (store: BreakerStore): BreakerStore => {
    const unlessCrashed = async <T>(call: () => Promise<T>): Promise<T> => {
      if (worker.crashed) throw new Error('crashed');
      return call();
    };
    return {
      read: () => unlessCrashed(store.read),
      replace: (version, state) => unlessCrashed(() => store.replace(version, state)),
      reserveSlot: (perSecond) => unlessCrashed(() => store.reserveSlot(perSecond)),
    };
  };

describe('a probe', () => {
  /** The first worker opens the breaker, and all of them have read the state. */
  const tripFor = async (...[first, ...others]: Worker[]) => {
    await first?.reportRequest(CERTAIN_FAILURE);
    await advance(STALE_AFTER_MS);
    for (const other of others) await other.acquire();
  };

  it('is permitted to one signal of one worker, after the pause', async () => {
    const { a, b, c } = setup({ workers: 3 });
    await tripFor(a, b, c);

    await advance(498);
    expect(countProbers(a, b, c)).toBe(0);
    await advance(252);

    expect(countProbers(a, b, c)).toBe(1);
    const permits = await Promise.all([a, b, c, a, b, c].map((worker) => worker.acquire()));
    expect(permits.filter((each) => each !== undefined)).toEqual(['probe']);
  });

  it('may send its request, and no other signal may', async () => {
    const { a, b } = setup({ workers: 2 });
    await tripFor(a);
    await advanceToProbe(500);
    await expect(a.acquire()).resolves.toBe('probe');

    await expect(a.awaitSlot('probe', undefined)).resolves.toBe(true);
    await expect(a.awaitSlot('normal', undefined)).resolves.toBe(false);
    await expect(b.awaitSlot('normal', undefined)).resolves.toBe(false);
    await expect(b.awaitSlot('probe', undefined)).resolves.toBe(false);
  });

  it('that succeeds → delivery resumes for all workers within a second', async () => {
    const { a, b, c, logs } = setup({ workers: 3 });
    await tripFor(a, b, c);
    await advanceToProbe(500);
    const [prober] = [a, b, c].filter(({ concurrency }) => concurrency.at(-1) === 'one');
    await prober?.acquire();

    await prober?.reportRequest(HEALTHY, 'probe');
    await advance(1_000);

    expect([a, b, c].map(({ concurrency }) => concurrency.at(-1))).toEqual(['all', 'all', 'all']);
    await expect(Promise.all([a, b, c].map((each) => each.acquire()))).resolves.toEqual([
      'normal',
      'normal',
      'normal',
    ]);
    expect(logs.lines().at(-1)).toMatchObject({
      level: 'info',
      msg: 'delivery.resumed',
      code: 'HTTP_503',
      pauses: 1,
      suspendedForMs: expect.any(Number),
    });
  });

  it('that fails → the pause grows, and another worker can send the next probe', async () => {
    const { a, b, logs } = setup({ workers: 2 });
    await tripFor(a);
    await advanceToProbe(500);
    await a.acquire();

    await a.reportRequest(FAILING, 'probe');
    a.release('probe');
    expect(a.concurrency).toEqual(['none', 'one', 'none']);
    void a.stop();
    await b.acquire();
    await advance(1_900);
    expect(countProbers(b)).toBe(0);
    await advance(350);

    expect(b.concurrency).toEqual(['none', 'one']);
    await expect(b.acquire()).resolves.toBe('probe');
    expect(logs.lines()).toMatchObject([
      { msg: 'delivery.suspended', pauses: 1, pauseMs: 1_000 },
      { level: 'info', msg: 'delivery.probed', pauses: 2, pauseMs: 2_000 },
    ]);
  });

  it('held by a worker that stops → passes to another worker at once', async () => {
    const { a, b } = setup({ workers: 2 });
    await tripFor(a);
    await advanceToProbe(500);
    await b.acquire();
    expect(countProbers(a)).toBe(1);

    await a.stop();
    await advance(250);

    expect([countProbers(a), countProbers(b)]).toEqual([0, 1]);
  });

  it('held by a worker that crashed → passes to another worker when the lease ends', async () => {
    const worker = { crashed: false };
    const { a, b } = setup({ workers: 2, storeOf: { A: crashable(worker) } });
    await tripFor(a);
    await advanceToProbe(500);
    await a.acquire();
    worker.crashed = true;
    await b.acquire();

    await advance(4_000);
    expect(countProbers(b)).toBe(0);
    await advance(1_500);

    expect(countProbers(b)).toBe(1);
  });

  it('that takes long stays with its worker while that worker runs', async () => {
    const { a, b } = setup({ workers: 2 });
    await tripFor(a, b);
    void a.stop();
    await advanceToProbe(500);
    await expect(b.acquire()).resolves.toBe('probe');

    await advance(60_000);

    await expect(b.awaitSlot('probe', undefined)).resolves.toBe(true);
  });

  it('held by a worker without a signal to send → passes to another worker after ten seconds', async () => {
    const { a, b } = setup({ workers: 2 });
    await tripFor(a);
    await advanceToProbe(500);
    expect(countProbers(a)).toBe(1);
    await b.acquire();

    await advance(9_500);
    expect(countProbers(b)).toBe(0);
    await advance(1_500);

    expect([a, b].map(({ concurrency }) => concurrency.at(-1))).toEqual(['none', 'one']);
    await expect(b.acquire()).resolves.toBe('probe');
  });

  it('that no other worker takes returns to the worker that yielded it', async () => {
    const { a } = setup();
    await tripFor(a);
    await advanceToProbe(500);

    // A worker that yields leaves the probe to others for a second.
    await advance(10_700);
    expect(a.concurrency).toEqual(['none', 'one', 'none']);
    await advance(1_000);

    expect(a.concurrency).toEqual(['none', 'one', 'none', 'one']);
    await expect(a.acquire()).resolves.toBe('probe');
  });

  it('released without a request → passes to the next signal', async () => {
    const { a } = setup();
    await tripFor(a);
    await advanceToProbe(500);
    await a.acquire();
    await expect(a.acquire()).resolves.toBeUndefined();

    a.release('probe');

    await expect(a.acquire()).resolves.toBe('probe');
  });

  it('that another worker has taken over changes nothing, whether it fails or succeeds', async () => {
    const { a, b, memory } = setup({ workers: 2 });
    await tripFor(a);
    await advanceToProbe(500);
    await a.acquire();
    void a.stop();
    await b.acquire();
    await advance(5_500);
    expect(countProbers(b)).toBe(1);

    await expect(a.awaitSlot('probe', undefined)).resolves.toBe(false);
    await a.reportRequest(FAILING, 'probe');
    await a.reportRequest(HEALTHY, 'probe');

    expect((await memory.read()).state.open).toMatchObject({ pauses: 1, probe: { by: 'B' } });
  });

  it('that another worker has taken over and completed does not open the breaker again when it fails', async () => {
    const { a, b, memory } = setup({ workers: 2 });
    await tripFor(a);
    await advanceToProbe(500);
    await a.acquire();
    void a.stop();
    await b.acquire();
    await advance(5_500);
    await expect(b.acquire()).resolves.toBe('probe');
    await b.reportRequest(HEALTHY, 'probe');

    await a.reportRequest(FAILING, 'probe');

    expect((await memory.read()).state.open).toBeUndefined();
  });

  it('keeps its pause and its worker when requests of other workers fail late', async () => {
    const { a, b, memory } = setup({ workers: 2 });
    await tripFor(a);
    await advanceToProbe(500);
    await a.acquire();

    for (let number = 1; number <= 10; number += 1) await b.reportRequest(FAILING);
    await b.reportRequest(CERTAIN_FAILURE);

    expect((await memory.read()).state.open).toMatchObject({ pauses: 1, probe: { by: 'A' } });
    await a.reportRequest(HEALTHY, 'probe');
    expect((await memory.read()).state.open).toBeUndefined();
  });

  it('keeps its pause and its worker when earlier requests of the same worker fail late', async () => {
    const { a, memory } = setup();
    await tripFor(a);
    await advanceToProbe(500);
    await a.acquire();

    // In flight since before the breaker opened.
    for (let number = 1; number <= 5; number += 1) await a.reportRequest(FAILING, 'normal');

    expect((await memory.read()).state.open).toMatchObject({ pauses: 1, probe: { by: 'A' } });
  });

  it('is not lost with a signal whose worker stopped before it got a permit', async () => {
    const results: string[] = [];
    const { a } = setup();
    await tripFor(a);
    await advanceToProbe(500);
    const { deliverSet } = createDeliverSet({
      breaker: a,
      resolveIdentifiers: () => {
        throw new Error('resolved');
      },
      batcher: {
        send: () => {
          throw new Error('batched');
        },
      },
      bisectBatch: () => Promise.reject(new Error('sent')),
      onResult: (_, { kind }) => results.push(kind),
      abort: AbortSignal.abort('stopping'),
    });
    const signalJob = SignalJobSchema.parse(buildSignalJob());

    await deliverSet([{ job: buildTakenJob(), signalJob, startedAt: 0, span: undefined }]);
    expect(results).toEqual(['released']);
    await advance(60_000);

    await expect(a.acquire()).resolves.toBe('probe');
  });
});

describe('the worker that takes the probe', () => {
  it('is another than the one that failed last', async () => {
    const { a, b } = setup({ workers: 2 });
    await b.acquire();
    await a.reportRequest(CERTAIN_FAILURE);
    await advance(STALE_AFTER_MS);
    await b.acquire();

    await advance(1_000 - STALE_AFTER_MS + 300);
    expect([countProbers(a), countProbers(b)]).toEqual([0, 1]);
  });

  it('is the one that failed last, 400 ms later, if there is no other', async () => {
    const { a } = setup();
    await a.reportRequest(CERTAIN_FAILURE);

    await advance(1_399);
    expect(countProbers(a)).toBe(0);
    await advance(251);

    expect(countProbers(a)).toBe(1);
  });

  it('is the one that failed before but has succeeded since, without a delay', async () => {
    const { a, b } = setup({ workers: 2 });
    await a.reportRequest(CERTAIN_FAILURE);
    await advanceToProbe(1_000);
    await a.acquire();
    await a.reportRequest(HEALTHY, 'probe');
    a.release('probe');
    await b.reportRequest(CERTAIN_FAILURE);
    await advance(STALE_AFTER_MS);
    await a.acquire();

    await advance(1_000 - STALE_AFTER_MS + 300);
    expect([countProbers(a), countProbers(b)]).toEqual([1, 0]);
  });
});
