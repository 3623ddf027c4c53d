import { abortable } from '../../src/runtime/async.ts';

const never = new Promise<never>(() => {});

describe('unlessAborted', () => {
  it.each([
    { what: 'no abort', abort: undefined },
    { what: 'an abort that does not come', abort: new AbortController().signal },
  ])('gives what the work gives: $what', async ({ abort }) => {
    await expect(abortable(Promise.resolve('done'), abort)).resolves.toBe('done');
    await expect(abortable(Promise.reject(new Error('broken')), abort)).rejects.toThrow('broken');
  });

  it('rejects with the reason when it is aborted, though the work goes on', async () => {
    const abort = new AbortController();

    const rejected = expect(abortable(never, abort.signal)).rejects.toBe('stopping');
    abort.abort('stopping');

    await rejected;
  });

  it('rejects when it was aborted before, even where the work is done', async () => {
    const abort = AbortSignal.abort('stopping');

    await expect(abortable(Promise.resolve('done'), abort)).rejects.toBe('stopping');
  });

  it('keeps to itself what the work comes to later', async () => {
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

  it('leaves no listener behind on an abort that outlives the work', async () => {
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
