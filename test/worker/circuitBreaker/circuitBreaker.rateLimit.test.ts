import {
  advance,
  advanceToProbe,
  CERTAIN_FAILURE,
  FAILING,
  HEALTHY,
  rateLimited,
  useWorkers,
  type Worker,
} from './useWorkers.ts';

const { setup } = useWorkers();

describe('a request', () => {
  /** Starts requests. Fills the list returned with the time of each slot, in ms from the start. */
  const slotTimes = (workers: Worker[], requests: number) => {
    const startedAt = Date.now();
    const times: number[] = [];
    for (let number = 0; number < requests; number += 1) {
      void workers[number % workers.length]?.awaitSlot('normal', undefined).then((granted) => {
        if (granted) times.push(Date.now() - startedAt);
      });
    }
    return times;
  };

  it('waits for its slot under a rate limit that all workers share', async () => {
    const { a, b, c } = setup({ workers: 3, perSecond: 10 });

    const times = slotTimes([a, b, c], 12);
    await advance(2_000);

    expect(times).toEqual(Array.from({ length: 12 }, (_, index) => index * 100));
  });

  it('without a rate limit is permitted at once', async () => {
    const { a } = setup();

    const times = slotTimes([a], 12);
    await advance(0);

    expect(times).toEqual(Array.from({ length: 12 }, () => 0));
  });

  it('aborted while it waits for a slot → rejects with the reason', async () => {
    const { a } = setup({ perSecond: 1 });
    const abort = new AbortController();
    await a.awaitSlot('normal', undefined);

    const rejected = expect(a.awaitSlot('normal', abort.signal)).rejects.toBe('stopping');
    await advance(10);
    abort.abort('stopping');

    await rejected;
  });

  it('after a rate limit of SEEK is sent at a lower rate, which rises gradually', async () => {
    const { a } = setup();
    // The recent rate is that of the second before.
    slotTimes([a], 40);
    await advance(1_000);
    await a.reportRequest(rateLimited());

    // 75 % of 40 per second.
    const times = slotTimes([a], 5);
    await advance(33_000);
    const later = slotTimes([a], 5);
    await advance(1_000);

    expect(times).toEqual([0, 34, 67, 100, 134]);
    expect(later).toEqual([0, 17, 34, 51, 67]);
  });

  it('after a rate limit of SEEK to one of three workers → all together keep three quarters of their rate', async () => {
    const { a, b, c, memory } = setup({ workers: 3 });
    // Two seconds of 60 requests a second from each worker.
    for (let n = 0; n < 120; n += 1) {
      for (const worker of [a, b, c]) await worker.awaitSlot('normal', undefined);
      await advance(1_000 / 60);
    }

    await a.reportRequest(rateLimited());

    const { perSecond } = (await memory.read()).state.throttle ?? { perSecond: 0 };
    expect(perSecond).toBeGreaterThan(0.75 * 170);
    expect(perSecond).toBeLessThan(0.75 * 190);
  });

  it('without a permit does not count towards the recent rate', async () => {
    const { a, memory } = setup();
    await a.reportRequest(CERTAIN_FAILURE);
    slotTimes([a], 100);
    await advanceToProbe(1_000);
    await a.acquire();
    slotTimes([a], 100);
    await a.awaitSlot('probe', undefined);

    await a.reportRequest(HEALTHY, 'probe');
    await a.reportRequest(rateLimited());

    expect((await memory.read()).state.throttle).toMatchObject({ perSecond: 5 });
  });

  it('is sent at the lower of the configured rate and the throttled rate', async () => {
    const { a } = setup({ perSecond: 10 });
    slotTimes([a], 8);
    await advance(1_000);

    // 75 % of 8 per second.
    await a.reportRequest(rateLimited());
    const times = slotTimes([a], 3);
    await advance(1_000);
    await advance(40_000);
    const later = slotTimes([a], 3);
    await advance(1_000);

    expect(times).toEqual([0, 167, 334]);
    expect(later).toEqual([0, 100, 200]);
  });

  it('does not wait behind requests that were cancelled when the breaker opened', async () => {
    const { a } = setup({ perSecond: 1 });
    slotTimes([a], 60);
    await advance(0);
    await a.reportRequest(CERTAIN_FAILURE);
    await advanceToProbe(1_000);
    await a.acquire();
    await a.reportRequest(HEALTHY, 'probe');

    const times = slotTimes([a], 2);
    await advance(1_500);

    expect(times).toEqual([0, 1_000]);
  });

  it('is refused after its wait if another worker has opened the breaker meanwhile', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 1 });
    const times = slotTimes([a], 30);
    await advance(0);

    await b.reportRequest(CERTAIN_FAILURE);
    await advance(500);
    void b.stop();
    await advance(20_000);

    // The first request was sent before the breaker opened.
    expect(times).toEqual([0]);
  });
});

describe('requests that wait for a slot', () => {
  /** Starts requests on each worker. Fills a list of results for each worker. */
  const startRequests = (workers: Worker[], requests: number, abort?: AbortSignal) =>
    workers.map((worker) => {
      const results: (boolean | 'aborted')[] = [];
      for (let number = 0; number < requests; number += 1) {
        const own = abort === undefined ? undefined : AbortSignal.any([abort]);
        void worker.awaitSlot('normal', own).then(
          (granted) => results.push(granted),
          () => results.push('aborted'),
        );
      }
      return results;
    });
  const count = (results: unknown[] | undefined, result: unknown) =>
    results?.filter((each) => each === result).length;
  /** How long until the next probe may send its request, in ms. */
  const timeToProbe = async (workers: Worker[]): Promise<number> => {
    const startedAt = performance.now();
    let sentAt: number | undefined;
    for (let waited = 0; waited < 30_000 && sentAt === undefined; waited += 10) {
      for (const worker of workers) {
        if (worker.concurrency.at(-1) !== 'one' || (await worker.acquire()) !== 'probe') continue;
        void worker.awaitSlot('probe', undefined).then((granted) => {
          if (granted) sentAt = performance.now() - startedAt;
        });
      }
      await advance(10);
    }
    if (sentAt === undefined) throw new Error('No probe');
    return sentAt;
  };

  it('are cancelled at once when the breaker opens, and the probe is sent within a second of its pause', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 1 });
    const [ofA, ofB] = startRequests([a, b], 15);
    await advance(1_500);
    expect([a.isHeldBack(), b.isHeldBack()]).toEqual([true, true]);
    const sent = () => (count(ofA, true) ?? 0) + (count(ofB, true) ?? 0);
    expect(sent()).toBe(2);

    await a.reportRequest(CERTAIN_FAILURE);
    await advance(0);
    expect([ofA?.length, a.isHeldBack()]).toEqual([15, false]);

    // The pause is one second. The other worker reads the state with its next slot.
    const probedAfter = await timeToProbe([a, b]);
    expect([ofB?.length, b.isHeldBack()]).toEqual([15, false]);
    expect(sent()).toBe(2);
    expect(probedAfter).toBeGreaterThanOrEqual(1_000);
    expect(probedAfter).toBeLessThanOrEqual(2_000);
  });

  it('do not delay the probe, after one pause or several', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 1 });
    startRequests([a, b], 15);
    await a.reportRequest(CERTAIN_FAILURE);

    for (const pauseMs of [1_000, 2_000, 4_000]) {
      const probedAfter = await timeToProbe([a, b]);
      expect(probedAfter).toBeGreaterThanOrEqual(pauseMs);
      expect(probedAfter).toBeLessThanOrEqual(pauseMs + 1_000);
      const prober = a.concurrency.at(-1) === 'one' ? a : b;
      await prober.reportRequest(FAILING, 'probe');
      prober.release('probe');
    }
  });

  it('of a worker that stops leave slots unused for 200 ms at most', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 10 });
    const abort = new AbortController();
    const [ofA] = startRequests([a], 30, abort.signal);
    await advance(1_000);
    const sent = count(ofA, true) ?? 0;
    expect(sent).toBeGreaterThanOrEqual(10);

    abort.abort('stopping');
    await a.stop();
    const [ofB] = startRequests([b], 10);
    await advance(0);
    expect([count(ofA, 'aborted'), a.isHeldBack()]).toEqual([30 - sent, false]);
    await advance(300);
    expect(count(ofB, true)).toBeGreaterThanOrEqual(1);
    await advance(1_000);

    expect(count(ofB, true)).toBe(10);
  });

  it('of a worker that stops leave no slot unused at a low rate', async () => {
    const { a, b } = setup({ workers: 2, perSecond: 1 });
    const abort = new AbortController();
    startRequests([a], 30, abort.signal);
    await advance(100);

    abort.abort('stopping');
    await a.stop();
    const [ofB] = startRequests([b], 3);
    await advance(2_800);

    expect(count(ofB, true)).toBe(2);
    await advance(200);
    expect(count(ofB, true)).toBe(3);
  });
});
