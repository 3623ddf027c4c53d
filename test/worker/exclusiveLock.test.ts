import fc from 'fast-check';

import { createExclusiveLock } from '../../src/worker/poisonSignals.ts';

const flush = () => new Promise(setImmediate);

/** Work that lasts until `end` is called. Work with a capital as its name is exclusive. */
const setup = () => {
  const exclusiveLock = createExclusiveLock();
  const running: string[] = [];
  const ends = new Map<string, (err?: Error) => void>();
  const start = (name: string) => {
    const run = name === name.toUpperCase() ? exclusiveLock.exclusive : exclusiveLock.shared;
    return run(() => {
      running.push(name);
      return new Promise<string>((resolve, reject) => {
        ends.set(name, (err) => {
          running.splice(running.indexOf(name), 1);
          if (err === undefined) resolve(name);
          else reject(err);
        });
      });
    });
  };
  return {
    running: () => running.join(''),
    start,
    end: async (name: string, err?: Error) => {
      ends.get(name)?.(err);
      await flush();
    },
  };
};

describe('exclusive lock', () => {
  it('shared work only → all of it runs at once', async () => {
    const { start, running } = setup();

    for (const name of 'abc') void start(name);
    await flush();

    expect(running()).toBe('abc');
  });

  it('exclusive work → waits for earlier work, and later work waits for it', async () => {
    const { start, running, end } = setup();
    for (const name of 'abXcY') void start(name);
    await flush();
    const seen = [running()];

    for (const name of ['a', 'b', 'X', 'c', 'Y']) {
      await end(name);
      seen.push(running());
    }

    expect(seen).toEqual(['ab', 'b', 'X', 'c', 'Y', '']);
  });

  it('exclusive work that rejects → releases the lock', async () => {
    const { start, running, end } = setup();
    const failing = start('X');
    void start('a');
    await flush();

    const failed = expect(failing).rejects.toThrow('bug');
    await end('X', new Error('bug'));

    await failed;
    expect(running()).toBe('a');
  });

  it('any order → all work runs, and exclusive work never beside other work', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([...'abcdefXYZ'], { minLength: 9 }),
        fc.infiniteStream(fc.nat(8)),
        async (names, choices) => {
          const { start, running, end } = setup();
          const all = names.map(start);
          await flush();
          for (let left = names.length; left > 0; left -= 1) {
            const present = [...running()];
            expect(present.length).toBeGreaterThan(0);
            if (/[XYZ]/.test(running())) expect(present).toHaveLength(1);
            const choice = choices.next().value ?? 0;
            await end(present[choice % present.length] ?? '');
          }
          await expect(Promise.all(all)).resolves.toEqual(names);
        },
      ),
    );
  });
});
