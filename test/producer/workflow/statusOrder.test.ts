import fc from 'fast-check';

import { orderByTransitions } from '../../../src/producer/workflow/statusOrder.ts';

const pair = (text: string): [string, string] => {
  const [from = '', to = ''] = text;
  return [from, to];
};

describe('orderByTransitions', () => {
  it.each([
    ['no transitions', 'abc', '', 'abc'],
    ['a line in another order', 'acb', 'ab bc', 'abc'],
    ['a fork, in the given order', 'abcd', 'ab ac bd cd', 'abcd'],
    ['a fork, in the opposite order', 'acbd', 'ab ac bd cd', 'acbd'],
    ['a short cut', 'adbc', 'ad ab bc cd', 'abcd'],
    ['a cycle', 'abc', 'ab bc ca cb', 'abc'],
    ['a cycle beside the line', 'abcx', 'ab bx xb bc', 'abcx'],
    ['an unconnected status', 'abz', 'ab', 'abz'],
    ['a status that leads to itself', 'ab', 'aa ab', 'ab'],
    ['a status without predecessors, before its successor', 'ayxb', 'ab xy', 'axyb'],
  ])('%s: %s with transitions %s → %s', (_, ids, transitions, ordered) => {
    const arrows = transitions.split(' ').filter((text) => text !== '');

    expect(orderByTransitions([...ids], arrows.map(pair)).join('')).toBe(ordered);
  });

  it('graph without cycles → every status comes after those that lead to it', () => {
    const acyclic = fc.integer({ min: 1, max: 12 }).chain((size) =>
      fc.record({
        ids: fc
          .shuffledSubarray([...Array(size).keys()].slice(1), { minLength: size - 1 })
          .map((rest) => [0, ...rest].map(String)),
        arrows: fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1))),
      }),
    );

    fc.assert(
      fc.property(acyclic, ({ ids, arrows }) => {
        const forward = arrows
          .filter(([a, b]) => a !== b)
          .map(([a, b]): [string, string] => [String(Math.min(a, b)), String(Math.max(a, b))]);

        const ordered = orderByTransitions(ids, forward);

        expect([...ordered].sort()).toEqual([...ids].sort());
        for (const [from, to] of forward) {
          expect(ordered.indexOf(from)).toBeLessThan(ordered.indexOf(to));
        }
      }),
    );
  });

  it('any graph → every status occurs exactly once', () => {
    const id = fc.constantFrom(...'abcdefgh');
    const graph = fc.record({
      ids: fc.uniqueArray(id, { minLength: 1 }),
      arrows: fc.array(fc.tuple(id, id)),
    });

    fc.assert(
      fc.property(graph, ({ ids, arrows }) => {
        const ordered = orderByTransitions(ids, arrows);

        expect([...ordered].sort()).toEqual([...ids].sort());
        expect(ordered[0]).toBe(ids[0]);
      }),
    );
  });
});
