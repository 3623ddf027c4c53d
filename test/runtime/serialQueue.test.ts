import { createSerialQueue } from '../../src/runtime/async.ts';

const setup = () => {
  const serialQueue = createSerialQueue();
  const log: string[] = [];
  const finish: Record<string, (err?: Error) => void> = {};
  const run = (name: string) =>
    serialQueue(
      () =>
        new Promise<string>((resolve, reject) => {
          log.push(`${name} begins`);
          finish[name] = (err) => {
            log.push(`${name} ends`);
            if (err === undefined) resolve(name);
            else reject(err);
          };
        }),
    );
  /** Ends the running task, and waits until the next one has begun. */
  const end = async (name: string, err?: Error) => {
    finish[name]?.(err);
    await new Promise(setImmediate);
  };

  return { serialQueue, run, end, log };
};

describe('createSerialQueue', () => {
  it('several tasks → each begins when the one before it has ended', async () => {
    const { run, end, log } = setup();

    const all = Promise.all(['a', 'b', 'c'].map(run));
    await end('');
    expect(log).toEqual(['a begins']);
    for (const name of ['a', 'b', 'c']) await end(name);

    await expect(all).resolves.toEqual(['a', 'b', 'c']);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  it('a task while no other runs → begins at once', async () => {
    const { run, end, log } = setup();
    const first = run('a');
    await end('');
    await end('a');
    await first;

    void run('b');
    await end('');

    expect(log.at(-1)).toBe('b begins');
  });

  it('a task that fails → rejects its own call, and the next task runs', async () => {
    const { run, end } = setup();
    const [failed, next] = [run('a'), run('b')];
    const rejected = expect(failed).rejects.toThrow('broken');

    await end('');
    await end('a', new Error('broken'));
    await rejected;
    await end('b');

    await expect(next).resolves.toBe('b');
  });

  it('a task that throws synchronously → rejects, and the next task runs', async () => {
    const { serialQueue } = setup();

    const thrown = serialQueue(() => {
      throw new Error('at once');
    });

    await expect(thrown).rejects.toThrow('at once');
    await expect(serialQueue(async () => 'next')).resolves.toBe('next');
  });
});
