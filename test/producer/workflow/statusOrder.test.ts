import fc from 'fast-check';

import { orderByTransitions } from '../../../src/producer/workflow/defineWorkflow.ts';

const pair = (text: string): [string, string] => {
  const [from = '', to = ''] = text;
  return [from, to];
};

describe('orderByTransitions', () => {
  it.each([
    ['nothing given', 'abc', '', 'abc'],
    ['a line, given backwards', 'acb', 'ab bc', 'abc'],
    ['a fork: as it was given', 'abcd', 'ab ac bd cd', 'abcd'],
    ['a fork, given the other way round', 'acbd', 'ab ac bd cd', 'acbd'],
    ['a short cut', 'adbc', 'ad ab bc cd', 'abcd'],
    ['a way back', 'abc', 'ab bc ca cb', 'abc'],
    ['a loop beside the way', 'abcx', 'ab bx xb bc', 'abcx'],
    ['what stands apart', 'abz', 'ab', 'abz'],
    ['what leads to itself', 'ab', 'aa ab', 'ab'],
    ['what nothing leads to, before what it leads to', 'ayxb', 'ab xy', 'axyb'],
  ])('%s: %s with %s gives %s', (_, ids, transitions, ordered) => {
    const arrows = transitions.split(' ').filter((text) => text !== '');

    expect(orderByTransitions([...ids], arrows.map(pair)).join('')).toBe(ordered);
  });

  it('puts what leads to a status before it, wherever there is no way back', () => {
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

  it('loses and doubles none, whatever the graph', () => {
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
