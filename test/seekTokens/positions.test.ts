import { createPositions } from '../../src/seekTokens/positions.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');

const setup = (stored: Record<string, string> = {}) => {
  const texts = new Map(Object.entries(stored));
  const positions = createPositions({
    store: {
      read: async (positionId) => texts.get(positionId),
      write: async (positionId, text) => void texts.set(positionId, text),
      remove: async (positionId) => void texts.delete(positionId),
    },
    now: () => NOW,
  });
  return { positions, texts };
};

describe('positions', () => {
  it('recorded twice → the last recording, with its time', async () => {
    const { positions } = setup();

    await positions.record('requisition-1', ['a']);
    await positions.record('requisition-1', ['b', 'c']);

    await expect(positions.find('requisition-1')).resolves.toEqual({
      positionId: 'requisition-1',
      positionProfileIds: ['b', 'c'],
      recordedAt: '2026-03-01T00:00:00.000Z',
    });
  });

  it('never recorded, or removed → not found', async () => {
    const { positions, texts } = setup();
    await positions.record('requisition-1', ['a']);

    await positions.remove('requisition-1');
    await positions.remove('requisition-1');

    await expect(positions.find('requisition-1')).resolves.toBeUndefined();
    await expect(positions.find('requisition-2')).resolves.toBeUndefined();
    expect(texts.size).toBe(0);
  });

  it.each(['', 'no JSON', '{}', '{"version":2,"positionProfileIds":["a"]}'])(
    'stored by another version: %j → an error, not "never recorded"',
    async (text) => {
      await expect(setup({ p: text }).positions.find('p')).rejects.toThrow('Stored position');
    },
  );
});
