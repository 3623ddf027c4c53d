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

  it('gives what the work gives, and leaves no timer behind', async () => {
    await expect(withDeadline(Promise.resolve('done'), 1_000, late)).resolves.toBe('done');

    expect(jest.getTimerCount()).toBe(0);
  });

  it('rejects as the work rejects, and leaves no timer behind', async () => {
    const work = Promise.reject(new Error('broken'));

    await expect(withDeadline(work, 1_000, late)).rejects.toThrow('broken');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('rejects on the millisecond where the work hangs', async () => {
    let settled = false;
    const waiting = withDeadline(new Promise(() => {}), 1_000, late).finally(() => {
      settled = true;
    });
    const rejected = expect(waiting).rejects.toThrow('late');

    await jest.advanceTimersByTimeAsync(999);
    expect(settled).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await rejected;
  });
});
