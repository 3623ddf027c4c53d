import { createSerialQueue } from '../../src/runtime/async.ts';

const setup = () => {
  const serialQueue = createSerialQueue();
  const log: string[] = [];
  const ends: Record<string, (err?: Error) => void> = {};
  const work = (name: string) =>
    serialQueue(
      () =>
        new Promise<string>((resolve, reject) => {
          log.push(`${name} begins`);
          ends[name] = (err) => {
            log.push(`${name} ends`);
            if (err === undefined) resolve(name);
            else reject(err);
          };
        }),
    );
  /** Ends what runs, and lets the next begin. */
  const end = async (name: string, err?: Error) => {
    ends[name]?.(err);
    await new Promise(setImmediate);
  };

  return { serialQueue, work, end, log };
};

describe('one at a time', () => {
  it('runs each when the one before it has ended, in the order in which they came', async () => {
    const { work, end, log } = setup();

    const all = Promise.all(['a', 'b', 'c'].map(work));
    await end('');
    expect(log).toEqual(['a begins']);
    for (const name of ['a', 'b', 'c']) await end(name);

    await expect(all).resolves.toEqual(['a', 'b', 'c']);
    expect(log).toEqual([...['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']]);
  });

  it('begins at once where nothing runs', async () => {
    const { work, end, log } = setup();
    const first = work('a');
    await end('');
    await end('a');
    await first;

    void work('b');
    await end('');

    expect(log.at(-1)).toBe('b begins');
  });

  it('tells who failed, and goes on with the next', async () => {
    const { work, end } = setup();
    const [failed, next] = [work('a'), work('b')];
    const rejected = expect(failed).rejects.toThrow('broken');

    await end('');
    await end('a', new Error('broken'));
    await rejected;
    await end('b');

    await expect(next).resolves.toBe('b');
  });

  it('goes on after what throws before it begins', async () => {
    const { serialQueue } = setup();

    const thrown = serialQueue(() => {
      throw new Error('at once');
    });

    await expect(thrown).rejects.toThrow('at once');
    await expect(serialQueue(async () => 'next')).resolves.toBe('next');
  });
});
