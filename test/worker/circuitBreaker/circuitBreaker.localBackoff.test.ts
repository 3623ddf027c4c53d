import {
  advance,
  CERTAIN_FAILURE,
  countProbers,
  FAILING,
  HEALTHY,
  STALE_AFTER_MS,
  useWorkers,
  type Worker,
} from './useWorkers.ts';

const { setup } = useWorkers();

describe('a worker that alone fails to reach SEEK', () => {
  /** A opens the shared breaker, and a probe of B succeeds. */
  const tripFalsely = async ({ a, b }: { a: Worker; b: Worker }) => {
    await a.reportRequest(CERTAIN_FAILURE);
    await b.acquire();
    await waitForProbe(b);
    await b.reportRequest(HEALTHY, 'probe');
    b.release('probe');
    await advance(600);
    await a.acquire();
  };
  const waitForProbe = async (worker: Worker) => {
    for (let waited = 0; waited < 20_000; waited += 250) {
      await advance(250);
      if ((await worker.acquire()) === 'probe') return;
    }
    throw new Error('No probe');
  };

  it('opens the shared breaker for two false positives, and then backs off locally', async () => {
    const { a, b, memory, logs } = setup({ workers: 2 });
    for (let time = 1; time <= 2; time += 1) await tripFalsely({ a, b });

    await a.reportRequest(CERTAIN_FAILURE);

    expect((await memory.read()).state.open).toBeUndefined();
    expect(a.concurrency.at(-1)).toBe('none');
    await expect(a.acquire()).resolves.toBeUndefined();
    await expect(a.awaitSlot('normal', undefined)).resolves.toBe(false);
    await expect(b.acquire()).resolves.toBe('normal');
    expect(logs.lines().at(-1)).toMatchObject({ msg: 'delivery.suspendedLocally', pauseMs: 1_000 });
    // A makes no progress, as expected.
    expect([a.isHeldBack(), b.isHeldBack()]).toEqual([true, false]);
  });

  it('after two false positives asks for the probe five seconds later than others', async () => {
    const { a, b } = setup({ workers: 2 });
    for (let time = 1; time <= 2; time += 1) await tripFalsely({ a, b });
    await b.reportRequest(CERTAIN_FAILURE);
    await b.stop();
    await advance(STALE_AFTER_MS);
    await a.acquire();

    await advance(1_000 - STALE_AFTER_MS + 4_900);
    expect(countProbers(a)).toBe(0);
    await advance(350);

    expect(countProbers(a)).toBe(1);
  });

  it('cancels the requests that wait for a slot when it backs off locally', async () => {
    const { a, b, memory } = setup({ workers: 2, perSecond: 1 });
    for (let time = 1; time <= 2; time += 1) await tripFalsely({ a, b });
    const waiting = Promise.all([1, 2, 3, 4].map(() => a.awaitSlot('normal', undefined)));
    await advance(0);
    expect(a.isHeldBack()).toBe(true);

    await a.reportRequest(CERTAIN_FAILURE);

    await expect(waiting).resolves.toEqual([true, false, false, false]);
    expect((await memory.read()).state.open).toBeUndefined();
  });

  it('probes with one signal after pauses that grow, until it reaches SEEK', async () => {
    const { a, b, logs } = setup({ workers: 2 });
    for (let time = 1; time <= 2; time += 1) await tripFalsely({ a, b });
    await a.reportRequest(CERTAIN_FAILURE);

    await advance(1_000);
    expect(a.concurrency.at(-1)).toBe('one');
    await expect(a.acquire()).resolves.toBe('normal');
    await a.reportRequest(FAILING);
    expect(logs.lines().at(-1)).toMatchObject({ msg: 'delivery.suspendedLocally', pauseMs: 2_000 });
    expect(a.concurrency.at(-1)).toBe('none');

    await advance(2_000);
    await a.reportRequest(HEALTHY);
    expect(a.concurrency.at(-1)).toBe('all');
    // Then a failure of A opens the shared breaker again.
    await a.reportRequest(CERTAIN_FAILURE);
    await advance(501);
    await expect(b.acquire()).resolves.toBeUndefined();
  });
});
