import fc from 'fast-check';
import { DateTimeSchema, toUtc } from '../../src/schemas/dateTime.ts';
import { AnySignalSchema, SIGNAL_SCHEMAS } from '../../src/schemas/signal.ts';
import { formatInstant, instant, offset, signalInput } from '../support/arbitraries.ts';
import { SLACK_MS } from '../support/inTime.ts';
import { accepted, parse, problems } from './parse.ts';

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The meaning of an input, computed without the code under test. */
const meaningOf = (value: unknown, name = ''): unknown => {
  if (name === 'positionProfileIds' && typeof value === 'string') return [value];
  if (name === 'timestamp') return instantOf(String(value));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => inner !== null || key === 'success')
      .map(([key, inner]) => [key, meaningOf(inner, key)]),
  );
};

/** The second and the fraction digits, because a Date only has milliseconds. */
const instantOf = (text: string) => {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  return { second: Date.parse(text.replace(/\.\d+/, '')), fraction: fraction.replace(/0+$/, '') };
};

describe('every valid signal', () => {
  it('parsed and written as JSON → same meaning', () => {
    fc.assert(
      fc.property(signalInput, (input) => {
        const written = JSON.parse(JSON.stringify(accepted(input)));

        expect(meaningOf(written)).toEqual(meaningOf(input));
      }),
    );
  });

  it('parsed again, by the producer or by the queue → unchanged', () => {
    fc.assert(
      fc.property(signalInput, (input) => {
        const once = accepted(input);

        expect(accepted(once)).toEqual(once);
        expect(AnySignalSchema.parse(JSON.parse(JSON.stringify(once)))).toEqual(once);
      }),
    );
  });
});

describe('a timestamp', () => {
  it('parsed → the same instant in UTC, and toUtc → one canonical text', () => {
    fc.assert(
      fc.property(instant, offset, fc.nat(5), (when, minutes, zeros) => {
        const given = formatInstant(when, minutes, zeros);
        const sent = DateTimeSchema.parse(given);
        const utc = toUtc(sent);

        expect(sent).toBe(given.endsWith('Z') ? given : utc);
        expect(utc).toBe(toUtc(formatInstant(when, 0)));
        expect(utc).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d*[1-9])?Z$/);
        expect(instantOf(utc)).toEqual(instantOf(formatInstant(when, minutes, zeros)));
      }),
    );
  });

  it.each(['0001-01-01T00:00:00+00:01', '9999-12-31T23:59:59-00:01', '0000-06-01T00:00:00Z'])(
    'year outside 0001 to 9999 in UTC: %s → rejected',
    (text) => {
      expect(DateTimeSchema.safeParse(text).success).toBe(false);
    },
  );

  it('fraction of 100,000 zeros → read without delay', () => {
    const began = performance.now();

    const utc = toUtc(`2026-03-01T10:00:00.${'0'.repeat(100_000)}1Z`);

    expect(utc).toHaveLength('2026-03-01T10:00:00.Z'.length + 100_001);
    expect(performance.now() - began).toBeLessThan(SLACK_MS);
  });
});

const unescapePart = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~');

/** Whether a pointer names a place in the input, or a missing key of an object in it. */
const leadsSomewhere = (input: unknown, pointer: string): boolean => {
  let at = input;
  const parts = pointer.split('/').slice(1).map(unescapePart);
  for (const [index, part] of parts.entries()) {
    if (typeof at !== 'object' || at === null) return false;
    if (!Object.hasOwn(at, part)) return index === parts.length - 1;
    const value: unknown = Reflect.get(at, part);
    // A bare string counts as a list of one.
    at = part === 'positionProfileIds' && typeof value === 'string' ? [value] : value;
  }
  return true;
};

const spoil = (input: Json, path: readonly string[], value: unknown): Json => {
  const [key = '', ...rest] = path;
  const inner = input[key];
  return {
    ...input,
    [key]: rest.length > 0 && isObject(inner) ? spoil(inner, rest, value) : value,
  };
};

const anyJson = fc
  .oneof(
    fc.jsonValue({ maxDepth: 6 }),
    fc.json({ maxDepth: 4 }).map((text) => JSON.parse(text)),
  )
  .map((value): unknown => value);
const name = fc.constantFrom(
  'typeCode',
  'token',
  'candidateApplicationProfileId',
  'positionProfileIds',
  'current',
  'previous',
  'timestamp',
  'status',
  'phase',
  'success',
  'label',
  'index',
  'total',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'a/b',
  'a~b',
  '',
  '\0',
  '\ud83d',
);

describe('any other input', () => {
  it('parseSignal → does not throw, and every problem points into the input', () => {
    const typeCode = fc.constantFrom('ApplicationComplete', 'PositionStatusUpdate', 'Other', 7);
    const keyed = fc.dictionary(fc.oneof(name, fc.string()), anyJson);

    fc.assert(
      fc.property(fc.oneof(anyJson, keyed), typeCode, (made, type) => {
        for (const input of isObject(made) ? [made, { ...made, typeCode: type }] : [made]) {
          for (const allowUnknownTypes of [true, false]) {
            const parsed = parse(input, { allowUnknownTypes });
            if (parsed.kind === 'valid') continue;
            const pointers = Object.keys(parsed.invalidFields);
            expect(pointers).not.toEqual([]);
            for (const pointer of pointers) {
              expect([pointer, leadsSomewhere(input, pointer)]).toEqual([pointer, true]);
            }
          }
        }
      }),
    );
  });

  it('valid signal with one changed value → every problem points into the input', () => {
    const path = fc.array(name, { minLength: 1, maxLength: 3 });

    fc.assert(
      fc.property(signalInput, path, anyJson, (signal, at, value) => {
        const input = spoil(signal, at, value);

        for (const pointer of Object.keys(problems(input))) {
          expect([pointer, leadsSomewhere(input, pointer)]).toEqual([pointer, true]);
        }
      }),
    );
  });
});

describe('a signal with 50,000 problems', () => {
  const MANY = 50_000;
  const wrong = (value: unknown) => ({
    typeCode: 'PositionStatusUpdate',
    positionProfileIds: Array.from({ length: MANY }, () => value),
    current: { status: { label: 'l', index: 1, total: 1 }, timestamp: '2026-03-01T10:00:00Z' },
  });

  it.each([
    ['wrong identifiers', wrong('')],
    ['identifiers of a wrong type', wrong(1)],
    ['unknown fields', Object.fromEntries(wrong(1).positionProfileIds.map((_, n) => [`f${n}`, n]))],
  ])('%s → the first 100 problems, and that there are more', (_, input) => {
    const began = performance.now();

    const fields = problems(input);

    const { error } = SIGNAL_SCHEMAS.PositionStatusUpdate.safeParse(input);
    expect(error?.issues.length).toBeLessThan(110);
    expect(Object.keys(fields)).toHaveLength(101);
    expect(fields['']).toBe('Has more than 100 problems');
    expect(performance.now() - began).toBeLessThan(SLACK_MS);
  });

  it('50,000 valid identifiers → accepted', () => {
    const signal = accepted(wrong('position-1'));

    expect(signal.positionProfileIds).toHaveLength(MANY);
  });
});
