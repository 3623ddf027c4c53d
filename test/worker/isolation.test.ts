import fc from 'fast-check';

import { createIsolation } from '../../src/worker/poisonSignals.ts';

const flush = () => new Promise(setImmediate);

/** Work that lasts until `end` is called. Work with a capital as its name runs alone. */
const setup = () => {
  const changes: boolean[] = [];
  const isolation = createIsolation({ onChange: (isolating) => changes.push(isolating) });
  const running: string[] = [];
  const ends = new Map<string, (err?: Error) => void>();
  const start = (name: string) => {
    const run = name === name.toUpperCase() ? isolation.alone : isolation.shared;
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
    changes,
    running: () => running.join(''),
    start,
    end: async (name: string, err?: Error) => {
      ends.get(name)?.(err);
      await flush();
    },
  };
};

describe('isolation', () => {
  it('shared work only → all of it runs at once', async () => {
    const { start, running, changes } = setup();

    for (const name of 'abc') void start(name);
    await flush();

    expect([running(), changes]).toEqual(['abc', []]);
  });

  it('work that runs alone → waits for earlier work, and later work is not run', async () => {
    const { start, running, end, changes } = setup();
    const all = [...'abXcY'].map(start);
    await flush();
    const seen = [running()];

    for (const name of ['a', 'b', 'X']) {
      await end(name);
      seen.push(running());
    }

    expect(seen).toEqual(['ab', 'b', 'X', '']);
    expect(await Promise.all(all)).toEqual(['a', 'b', 'X', undefined, undefined]);
    expect(changes).toEqual([true, false]);
  });

  it('work alone that rejects → later work runs', async () => {
    const { start, running, end, changes } = setup();
    const failing = start('X');
    await flush();
    const failed = expect(failing).rejects.toThrow('bug');

    await end('X', new Error('bug'));
    await failed;
    void start('a');

    expect([running(), changes]).toEqual(['a', [true, false]]);
  });

  it('any order → work alone never runs beside other work, and all ends', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([...'abcdefXYZ'], { minLength: 9 }),
        fc.infiniteStream(fc.nat(8)),
        async (names, choices) => {
          const { start, running, end } = setup();
          const all = names.map(start);
          await flush();
          while (running() !== '') {
            const present = [...running()];
            if (/[XYZ]/.test(running())) expect(present).toHaveLength(1);
            const choice = choices.next().value ?? 0;
            await end(present[choice % present.length] ?? '');
          }
          const firstAlone = names.findIndex((name) => /[XYZ]/.test(name));
          await expect(Promise.all(all)).resolves.toEqual(
            names.map((name, n) => (n <= firstAlone ? name : undefined)),
          );
        },
      ),
    );
  });
});
