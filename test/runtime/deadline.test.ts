import { withDeadline } from '../../src/runtime/async.ts';

const { jest } = import.meta;

describe('withDeadline', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const late = () => new Error('late');

  it('work that ends in time → resolves with its result and leaves no timer', async () => {
    await expect(withDeadline(Promise.resolve('done'), 1_000, late)).resolves.toBe('done');

    expect(jest.getTimerCount()).toBe(0);
  });

  it('work that fails in time → rejects with its error and leaves no timer', async () => {
    const work = Promise.reject(new Error('broken'));

    await expect(withDeadline(work, 1_000, late)).rejects.toThrow('broken');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('work that hangs → rejects after exactly the given time', async () => {
    let isSettled = false;
    const waiting = withDeadline(new Promise(() => {}), 1_000, late).finally(() => {
      isSettled = true;
    });
    const rejected = expect(waiting).rejects.toThrow('late');

    await jest.advanceTimersByTimeAsync(999);
    expect(isSettled).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await rejected;
  });
});
