import { boundText, boundValue } from '../../src/observability/boundValue.ts';

const BUDGET = 1_000;
const nest = (levels: number, wrap: (inner: unknown) => unknown) => {
  let value: unknown = 'x';
  for (let level = 0; level < levels; level += 1) value = wrap(value);
  return value;
};

describe('boundValue', () => {
  it.each([
    ['a text', 'As SEEK says'],
    ['a number', 7],
    ['null', null],
    ['nothing', undefined],
    ['errors', [{ message: 'm', extensions: { code: 'FORBIDDEN', invalidFields: { '/a': 'b' } } }]],
    ['a key of a prototype', JSON.parse('{"__proto__":{"a":1}}')],
  ])('%s within the budget → the same', (_, value) => {
    expect(boundValue(value, BUDGET)).toEqual(value);
  });

  it.each([
    ['a long text', 'x'.repeat(400_000)],
    ['many texts', Array(100_000).fill('text')],
    ['many numbers', Array(100_000).fill(7)],
    ['many lists', Array(100_000).fill([])],
    ['many keys', Object.fromEntries(Array.from({ length: 99_999 }, (_, n) => [`key ${n}`, n]))],
    ['a long key', { ['k'.repeat(400_000)]: 'v' }],
    ['deep lists', nest(5_000, (inner) => [inner])],
    ['deep objects', nest(5_000, (a) => ({ a }))],
    ['a long text in a list in an object', { a: [{ b: 'y'.repeat(400_000) }], c: 'z' }],
  ])('%s → cut to the budget, and marked', (_, value) => {
    const text = JSON.stringify(boundValue(value, BUDGET));

    expect(text.length).toBeLessThan(3 * BUDGET);
    expect(text).toContain('…');
  });

  it('text that is cut within a character → is well formed', () => {
    expect(boundText('a😀', 2)).toBe('a\ufffd…');
    expect(boundText('a😀', 3)).toBe('a😀');
  });
});
