import fc from 'fast-check';

import { createExclusiveLock } from '../../src/worker/poisonSignals.ts';

const settle = () => new Promise(setImmediate);

/** Work that lasts until it is told to end. */
const setup = () => {
  const exclusiveLock = createExclusiveLock();
  const inside: string[] = [];
  const ends = new Map<string, (err?: Error) => void>();
  const come = (name: string) => {
    const awaitSlot = name === name.toUpperCase() ? exclusiveLock.alone : exclusiveLock.together;
    return awaitSlot(() => {
      inside.push(name);
      return new Promise<string>((resolve, reject) => {
        ends.set(name, (err) => {
          inside.splice(inside.indexOf(name), 1);
          if (err === undefined) resolve(name);
          else reject(err);
        });
      });
    });
  };
  return {
    inside: () => inside.join(''),
    come,
    end: async (name: string, err?: Error) => {
      ends.get(name)?.(err);
      await settle();
    },
  };
};

// Capitals want to be alone.
describe('a room', () => {
  it('holds any number side by side', async () => {
    const { come, inside } = setup();

    for (const name of 'abc') void come(name);
    await settle();

    expect(inside()).toBe('abc');
  });

  it('is given to who wants to be alone once the others are gone, and to those after him then', async () => {
    const { come, inside, end } = setup();
    for (const name of 'abXcY') void come(name);
    await settle();
    const seen = [inside()];

    for (const name of ['a', 'b', 'X', 'c', 'Y']) {
      await end(name);
      seen.push(inside());
    }

    expect(seen).toEqual(['ab', 'b', 'X', 'c', 'Y', '']);
  });

  it('is free again after a fault', async () => {
    const { come, inside, end } = setup();
    const failing = come('X');
    void come('a');
    await settle();

    const failed = expect(failing).rejects.toThrow('bug');
    await end('X', new Error('bug'));

    await failed;
    expect(inside()).toBe('a');
  });

  it('lets everybody in, and nobody beside who is alone, whatever the order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([...'abcdefXYZ'], { minLength: 9 }),
        fc.infiniteStream(fc.nat(8)),
        async (names, choices) => {
          const { come, inside, end } = setup();
          const all = names.map(come);
          await settle();
          for (let left = names.length; left > 0; left -= 1) {
            const present = [...inside()];
            expect(present.length).toBeGreaterThan(0);
            if (/[XYZ]/.test(inside())) expect(present).toHaveLength(1);
            const choice = choices.next().value ?? 0;
            await end(present[choice % present.length] ?? '');
          }
          await expect(Promise.all(all)).resolves.toEqual(names);
        },
      ),
    );
  });
});
