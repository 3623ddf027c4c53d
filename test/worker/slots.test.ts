import { createSlots } from '../../src/worker/slots.ts';

const setup = () => {
  const set: number[] = [];
  const slots = createSlots({ concurrency: 50, setConcurrency: (n) => set.push(n), maxBytes: 100 });
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return {
    slots,
    set,
    take: (bytes: number) =>
      slots.count({ id: `${bytes}`, data: 'x'.repeat(bytes - 2) }, () => finished),
    finish: () => finish(),
  };
};

describe('createSlots', () => {
  it.each([
    ['none', [0]],
    ['one', [1]],
    ['all', []],
  ] as const)('the breaker allows %s → sets %p', (allowed, expected) => {
    const { slots, set } = setup();

    slots.allow(allowed);
    slots.allow(allowed);

    expect(set).toEqual(expected);
  });

  it('signals in flight over the budget of bytes → no further signal, until they have ended', async () => {
    const { set, take, finish } = setup();
    const all = [take(60), take(40)];
    expect(set).toEqual([]);
    all.push(take(2));
    expect(set).toEqual([1]);

    finish();
    await Promise.all(all);

    expect(set).toEqual([1, 50]);
  });

  it('a job that was fetched → counts from then on, and once', async () => {
    const { slots, set } = setup();

    slots.take('1', 60);
    slots.take('2', 60);
    expect(set).toEqual([1]);
    await slots.count({ id: '2', data: 'x'.repeat(1_000) }, async () => {
      expect(set).toEqual([1]);
    });

    expect(set).toEqual([1, 50]);
  });

  it('work that fails → its bytes no longer count', async () => {
    const { slots, set } = setup();

    await expect(
      slots.count({ id: '1', data: 'x'.repeat(200) }, () => Promise.reject(new Error('bug'))),
    ).rejects.toThrow('bug');

    expect(set).toEqual([1, 50]);
  });

  it('a signal runs alone while the breaker is open → stays closed for others', () => {
    const { slots, set } = setup();

    slots.isolate(true);
    slots.allow('none');
    slots.isolate(false);
    slots.allow('all');

    expect(set).toEqual([1, 0, 50]);
  });

  it('a fetched job is given back without a run → its bytes no longer count', () => {
    const { slots, set } = setup();

    slots.take('held', 101);
    slots.release('held');

    expect(set).toEqual([1, 50]);
  });
});
