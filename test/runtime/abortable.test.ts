import { abortable } from '../../src/runtime/async.ts';

const never = new Promise<never>(() => {});

describe('abortable', () => {
  it.each([
    { what: 'without an abort signal', abort: undefined },
    { what: 'with an abort signal that does not fire', abort: new AbortController().signal },
  ])('$what → settles as the work does', async ({ abort }) => {
    await expect(abortable(Promise.resolve('done'), abort)).resolves.toBe('done');
    await expect(abortable(Promise.reject(new Error('broken')), abort)).rejects.toThrow('broken');
  });

  it('aborted while the work runs → rejects with the reason', async () => {
    const abort = new AbortController();

    const rejected = expect(abortable(never, abort.signal)).rejects.toBe('stopping');
    abort.abort('stopping');

    await rejected;
  });

  it('aborted before the call → rejects, even if the work is done', async () => {
    const abort = AbortSignal.abort('stopping');

    await expect(abortable(Promise.resolve('done'), abort)).rejects.toBe('stopping');
  });

  it('work that fails after the abort → causes no unhandled rejection', async () => {
    const abort = new AbortController();
    let fail: (err: Error) => void = () => {};
    const work = new Promise<never>((_, reject) => {
      fail = reject;
    });

    const rejected = expect(abortable(work, abort.signal)).rejects.toBe('stopping');
    abort.abort('stopping');
    await rejected;

    // An unhandled rejection would fail the run.
    fail(new Error('broken'));
    await new Promise(setImmediate);
  });

  it('work that ends before the abort signal fires → leaves no listener on it', async () => {
    const { signal } = new AbortController();
    const listening: string[] = [];
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    const abort: AbortSignal = Object.assign(signal, {
      addEventListener: (...given: Parameters<typeof add>) => {
        listening.push('on');
        add(...given);
      },
      removeEventListener: (...given: Parameters<typeof remove>) => {
        listening.push('off');
        remove(...given);
      },
    });

    await abortable(Promise.resolve('done'), abort);
    await new Promise(setImmediate);

    expect(listening).toEqual(['on', 'off']);
  });
});
