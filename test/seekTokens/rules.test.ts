import fc from 'fast-check';
import type { StoredToken, TokenSource } from '../../src/schemas/seekToken.ts';
import { currentToken, NO_TOKENS, withoutTokens, withToken } from '../../src/seekTokens/rules.ts';

const kept = (name: string, source: TokenSource, day: number): StoredToken => ({
  ...{ token: name, fingerprint: name, masked: '', source },
  receivedAt: new Date(Date.UTC(2026, 0, day)).toISOString(),
});
const known = (tokens: StoredToken[]) => tokens.reduce(withToken, NO_TOKENS);

describe('the token that counts', () => {
  it.each<{ what: string; tokens: StoredToken[]; counts: string | undefined }>([
    { what: 'none of none', tokens: [], counts: undefined },
    {
      what: 'the newest of the link-out',
      tokens: [kept('a', 'linkOut', 1), kept('b', 'linkOut', 2)],
      counts: 'b',
    },
    {
      what: 'not one that is older, though it arrived later',
      tokens: [kept('b', 'linkOut', 2), kept('a', 'linkOut', 1)],
      counts: 'b',
    },
    {
      what: 'that of Apply with SEEK, though one of the link-out be newer',
      tokens: [kept('a', 'applyWithSeek', 1), kept('b', 'linkOut', 2)],
      counts: 'a',
    },
    {
      what: 'not one that came again: its life began when it came first',
      tokens: [kept('a', 'linkOut', 1), kept('b', 'linkOut', 2), kept('a', 'linkOut', 3)],
      counts: 'b',
    },
  ])('is $what', ({ tokens, counts }) => {
    expect(currentToken(known(tokens), 0)?.token).toBe(counts);
  });

  it('is the same in whatever order, and however often, they are recorded', () => {
    const source = fc.constantFrom<TokenSource>('linkOut', 'applyWithSeek');
    const token = fc
      .tuple(fc.constantFrom(...'abcdef'), source, fc.integer({ min: 1, max: 5 }))
      .map(([name, from, day]) => kept(name, from, day));
    const twoOrders = fc
      .array(token, { minLength: 1, maxLength: 12 })
      .chain((tokens) =>
        fc.tuple(
          fc.constant(tokens),
          fc.shuffledSubarray([...tokens, ...tokens], { minLength: 2 * tokens.length }),
        ),
      );

    fc.assert(
      fc.property(twoOrders, ([tokens, others]) => {
        expect(known(others)).toEqual(known(tokens));
      }),
    );
  });

  it('is never lost among many others', () => {
    const many = Array.from({ length: 200 }, (_, n) => kept(`link-${n}`, 'linkOut', 2 + n));
    const { tokens } = known([kept('a', 'applyWithSeek', 1), ...many]);

    expect([tokens[0]?.token, tokens.length]).toEqual(['a', 50]);
  });
});

describe('the token that counts once some have expired', () => {
  const tokens = [kept('a', 'applyWithSeek', 1), kept('b', 'linkOut', 2), kept('c', 'linkOut', 3)];

  it.each([
    { what: 'the first in standing, as long as it lives', since: 0, counts: 'a' },
    { what: 'the first in standing of those that live', since: 1, counts: 'c' },
    { what: 'the first in standing where none lives', since: 3, counts: 'a' },
  ])('is $what', ({ since, counts }) => {
    expect(currentToken(known(tokens), Date.UTC(2026, 0, since))?.token).toBe(counts);
  });
});

describe('an erasure', () => {
  const at = (day: number) => new Date(Date.UTC(2026, 0, day)).toISOString();

  it('leaves what tells tokens again, and nothing else, however often it is repeated', () => {
    const once = withoutTokens(known([kept('a', 'linkOut', 1)]), at(2));
    const again = withoutTokens(withToken(once, kept('b', 'linkOut', 3)), at(4));

    expect(once).toEqual({ ...NO_TOKENS, erasedAt: at(2), past: ['a'] });
    expect(again).toEqual({ ...NO_TOKENS, erasedAt: at(4), past: ['b', 'a'] });
    expect(withoutTokens(again, at(4))).toEqual(again);
  });

  it('is over once a token comes in, but for one that was received before', () => {
    const erased = withoutTokens(known([kept('a', 'linkOut', 1)]), at(2));
    const newer = kept('b', 'linkOut', 3);

    expect(withToken(erased, kept('a', 'linkOut', 2))).toBe(erased);
    const anew = withToken(erased, newer);
    expect(anew).toEqual({ ...known([newer]), erasedAt: at(2), past: ['a'] });
    expect(withToken(anew, kept('a', 'applyWithSeek', 1))).toBe(anew);
  });

  it('finds the tokens, too, that are kept no longer because there were so many', () => {
    const many = Array.from({ length: 60 }, (_, n) => kept(`t${n}`, 'linkOut', 1 + n));

    expect(new Set(withoutTokens(known(many), at(99)).past)).toEqual(
      new Set(many.map(({ fingerprint }) => fingerprint)),
    );
  });
});
