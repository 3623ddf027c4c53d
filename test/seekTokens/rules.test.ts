import fc from 'fast-check';
import { fingerprintOf } from '../../src/runtime/tokenCipher.ts';
import type { StoredToken, TokenSource } from '../../src/schemas/seekToken.ts';
import {
  currentToken,
  NO_TOKENS,
  normalise,
  withoutIdentifiers,
  withProfile,
  withToken,
} from '../../src/seekTokens/rules.ts';

const stored = (name: string, source: TokenSource, day: number): StoredToken => ({
  token: name,
  fingerprint: name,
  masked: '',
  source,
  receivedAt: new Date(Date.UTC(2026, 0, day)).toISOString(),
});
const known = (tokens: StoredToken[]) => tokens.reduce(withToken, NO_TOKENS);

describe('the current token', () => {
  it.each<{ what: string; tokens: StoredToken[]; current: string | undefined }>([
    { what: 'no tokens → none', tokens: [], current: undefined },
    {
      what: 'two link-out tokens → the newer one',
      tokens: [stored('a', 'linkOut', 1), stored('b', 'linkOut', 2)],
      current: 'b',
    },
    {
      what: 'an older token recorded later → the newer one',
      tokens: [stored('b', 'linkOut', 2), stored('a', 'linkOut', 1)],
      current: 'b',
    },
    {
      what: 'Apply with SEEK and a newer link-out → the link-out, because the candidate came back',
      tokens: [stored('a', 'applyWithSeek', 1), stored('b', 'linkOut', 2)],
      current: 'b',
    },
    {
      what: 'a link-out and Apply with SEEK of the same instant → Apply with SEEK',
      tokens: [stored('a', 'linkOut', 1), stored('b', 'applyWithSeek', 1)],
      current: 'b',
    },
    {
      what: 'a link-out token that Apply with SEEK returns later → keeps its age, so the newer one',
      tokens: [
        stored('a', 'linkOut', 1),
        stored('b', 'linkOut', 2),
        stored('a', 'applyWithSeek', 3),
      ],
      current: 'b',
    },
    {
      what: 'an old token recorded again → keeps its age, so the newer one',
      tokens: [stored('a', 'linkOut', 1), stored('b', 'linkOut', 2), stored('a', 'linkOut', 3)],
      current: 'b',
    },
  ])('of $what', ({ tokens, current }) => {
    expect(currentToken(known(tokens), 0)?.token).toBe(current);
  });

  it('of the same tokens in another order, and recorded twice → is the same', () => {
    const source = fc.constantFrom<TokenSource>('linkOut', 'applyWithSeek');
    const token = fc
      .tuple(fc.constantFrom(...'abcdef'), source, fc.integer({ min: 1, max: 5 }))
      .map(([name, from, day]) => stored(name, from, day));
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

  it('of more tokens than are kept → is still the newest', () => {
    const many = Array.from({ length: 200 }, (_, n) => stored(`link-${n}`, 'linkOut', 2 + n));
    const { tokens } = known([stored('a', 'applyWithSeek', 300), ...many]);

    expect([tokens[0]?.token, tokens.length]).toEqual(['a', 50]);
  });
});

describe('the current token, once tokens have expired', () => {
  const tokens = [
    stored('a', 'applyWithSeek', 1),
    stored('b', 'linkOut', 2),
    stored('c', 'linkOut', 3),
  ];

  it.each([
    { what: 'no token expired → the newest', since: 0, current: 'c' },
    { what: 'some expired → the newest', since: 1, current: 'c' },
    { what: 'all expired → the newest', since: 3, current: 'c' },
  ])('with $what', ({ since, current }) => {
    expect(currentToken(known(tokens), Date.UTC(2026, 0, since))?.token).toBe(current);
  });
});

describe('an erasure', () => {
  const at = (day: number) => new Date(Date.UTC(2026, 0, day)).toISOString();

  it('repeated → keeps only the fingerprints of all tokens, and is idempotent', () => {
    const once = withoutIdentifiers(known([stored('a', 'linkOut', 1)]), at(2));
    const again = withoutIdentifiers(withToken(once, stored('b', 'linkOut', 3)), at(4));

    expect(once).toEqual({ ...NO_TOKENS, erasedAt: at(2), past: ['a'] });
    expect(again).toEqual({ ...NO_TOKENS, erasedAt: at(4), past: ['b', 'a'] });
    expect(withoutIdentifiers(again, at(4))).toEqual(again);
  });

  it('followed by a token → is over, unless the token was received before it', () => {
    const erased = withoutIdentifiers(known([stored('a', 'linkOut', 1)]), at(2));
    const newer = stored('b', 'linkOut', 3);

    expect(withToken(erased, stored('a', 'linkOut', 2))).toBe(erased);
    const renewed = withToken(erased, newer);
    expect(renewed).toEqual({ ...known([newer]), erasedAt: at(2), past: ['a'] });
    expect(withToken(renewed, stored('a', 'applyWithSeek', 1))).toBe(renewed);
  });

  it('of more tokens than are kept → has the fingerprints of all of them', () => {
    const many = Array.from({ length: 60 }, (_, n) => stored(`t${n}`, 'linkOut', 1 + n));

    expect(new Set(withoutIdentifiers(known(many), at(99)).past)).toEqual(
      new Set(many.map(({ fingerprint }) => fingerprint)),
    );
  });

  it('of a profile id → its fingerprint stays, also of one that was replaced', () => {
    const profile = (id: string) => ({ id, recordedAt: at(1) });
    const twice = withProfile(
      withProfile(known([stored('a', 'linkOut', 1)]), profile('p')),
      profile('q'),
    );
    const erased = withoutIdentifiers(twice, at(2));

    expect(twice.tokens).toHaveLength(1);
    expect(erased).toEqual({
      ...NO_TOKENS,
      erasedAt: at(2),
      past: ['a', fingerprintOf('q'), fingerprintOf('p')],
    });
  });
});

describe('a record of an older version', () => {
  it('Apply with SEEK stored first → the newest token is current', () => {
    const older = {
      ...NO_TOKENS,
      tokens: [stored('a', 'applyWithSeek', 1), stored('b', 'linkOut', 2)],
    };

    expect(currentToken(normalise(older, 0), 0)?.token).toBe('b');
  });

  it('one token stored for two sources → one token, as old as its first arrival', () => {
    const older = {
      ...NO_TOKENS,
      tokens: [
        stored('a', 'applyWithSeek', 5),
        stored('b', 'linkOut', 3),
        stored('a', 'linkOut', 1),
      ],
    };

    expect(normalise(older, 0).tokens.map(({ token, receivedAt }) => [token, receivedAt])).toEqual([
      ['b', stored('b', 'linkOut', 3).receivedAt],
      ['a', stored('a', 'linkOut', 1).receivedAt],
    ]);
  });

  it.each([
    { at: 9, kept: ['b', 'a'], past: undefined },
    { at: 10, kept: [], past: ['b', 'a'] },
  ])('tokens until day 10, read on day $at → tokens $kept', ({ at, kept, past }) => {
    const known = {
      ...NO_TOKENS,
      tokensUntil: new Date(Date.UTC(2026, 0, 10)).toISOString(),
      tokens: [stored('b', 'linkOut', 5), stored('a', 'linkOut', 1)],
    };
    const read = normalise(known, Date.UTC(2026, 0, at));

    expect(read.tokens.map(({ token }) => token)).toEqual(kept);
    expect(read.past).toEqual(past);
  });
});
