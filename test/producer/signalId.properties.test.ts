import fc from 'fast-check';

import { identify } from '../../src/producer/signalId.ts';
import { accepted } from '../schemas/parse.ts';
import { formatInstant, instant, offset, signalInput, text } from '../support/arbitraries.ts';
import { buildApplicationComplete, buildSignal } from '../support/buildSignal.ts';

type Json = Record<string, unknown>;

const idOf = (input: unknown) => identify(accepted(input)).signalId;

/** A copy with the keys of every object in another order. */
const reorder = (value: unknown, by: readonly number[]): unknown => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const ranked = Object.entries(value).map(([key, inner], n) => ({
    entry: [key, reorder(inner, by)] as const,
    rank: by[n % by.length] ?? 0,
  }));
  return Object.fromEntries(ranked.sort((a, b) => a.rank - b.rank).map(({ entry }) => entry));
};

describe('the same signal', () => {
  it('fields in another order → same signalId', () => {
    const ranks = fc.array(fc.nat(100), { minLength: 1, maxLength: 7 });

    fc.assert(
      fc.property(signalInput, ranks, (input, by) => {
        expect(idOf(reorder(input, by))).toBe(idOf(input));
      }),
    );
  });

  it('timestamp with another offset → same signalId', () => {
    fc.assert(
      fc.property(instant, offset, offset, fc.nat(4), (when, one, other, zeros) => {
        const [a, b] = [formatInstant(when, one), formatInstant(when, other, zeros)];

        expect(idOf(buildApplicationComplete({ timestamp: a }))).toBe(
          idOf(buildApplicationComplete({ timestamp: b })),
        );
      }),
    );
  });

  it('position as a list of one, null as absent → same signalId', () => {
    fc.assert(
      fc.property(signalInput, (input) => {
        const { positionProfileIds: ids } = input;
        const written = typeof ids === 'string' ? { ...input, positionProfileIds: [ids] } : input;
        const kept = Object.entries(written).filter(([, value]) => value !== null);

        expect(idOf(Object.fromEntries(kept))).toBe(idOf(input));
      }),
    );
  });
});

describe('another signal', () => {
  it('two signals → different ids exactly if they differ in meaning', () => {
    fc.assert(
      fc.property(signalInput, signalInput, (one, other) => {
        const differ =
          JSON.stringify(sorted(accepted(one))) !== JSON.stringify(sorted(accepted(other)));

        expect(idOf(one) !== idOf(other)).toBe(differ);
      }),
    );
  });

  it('one changed value → another signalId', () => {
    fc.assert(
      fc.property(signalInput, fc.nat(1_000), (input, pick) => {
        const places = leaves(input);
        const at = places[pick % places.length] ?? [];

        expect(idOf(change(input, at))).not.toBe(idOf(input));
      }),
    );
  });
});

const sorted = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
};

/** The paths of all values that can change while the signal stays valid. */
const leaves = (value: unknown, path: string[] = []): string[][] => {
  const last = path.at(-1);
  if (last === 'typeCode' || last === 'timestamp') return [];
  if (value === null && last !== 'success') return [];
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
};

const change = (value: unknown, [key, ...rest]: string[]): unknown => {
  if (key === undefined) return changed(value);
  if (Array.isArray(value)) {
    return value.map((item, n) => (String(n) === key ? change(item, rest) : item));
  }
  const object: Json = { ...Object(value) };
  return { ...object, [key]: change(object[key], rest) };
};

const changed = (value: unknown): unknown => {
  if (typeof value === 'number') return value === 0 ? 1 : value - 1;
  if (typeof value === 'string') return value === 'x' ? 'y' : 'x';
  return value === true ? null : true;
};

describe('an Idempotency-Key', () => {
  const signal = accepted(buildSignal());
  const name = fc.oneof(text, fc.string(), fc.constantFrom('', '"', '","', '["', '\\'));

  it('two scopes and keys → equal ids exactly if both are equal', () => {
    fc.assert(
      fc.property(name, name, name, name, (scope, key, otherScope, otherKey) => {
        const one = identify(signal, { scope, key });
        const other = identify(signal, { scope: otherScope, key: otherKey });

        expect(one.signalId === other.signalId).toBe(scope === otherScope && key === otherKey);
        expect(one.contentId).toBe(identify(signal).signalId);
        expect(one.signalId).not.toBe(one.contentId);
      }),
    );
  });

  it('any content → same signalId', () => {
    fc.assert(
      fc.property(signalInput, name, (input, key) => {
        const one = identify(accepted(input), { scope: 'ats', key });

        expect(one.signalId).toBe(identify(signal, { scope: 'ats', key }).signalId);
      }),
    );
  });
});
