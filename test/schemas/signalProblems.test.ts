import { buildSignal, buildState } from '../support/buildSignal.ts';
import { NOW, problems } from './parse.ts';

const rank = (change: object = {}) => ({ label: 'Interview', index: 2, total: 4, ...change });
const withStatus = (change: object) =>
  buildSignal({ current: buildState({ status: rank(change) }) });
const inFuture = (ms: number) => new Date(NOW.getTime() + ms).toISOString();
const DAY_MS = 86_400_000;

describe('problems', () => {
  it.each([
    { at: '/surprise', input: buildSignal({ surprise: 1 }) },
    { at: '/surprise', input: buildSignal({ surprise: null }) },
    { at: '/current/surprise', input: buildSignal({ current: buildState({ surprise: 1 }) }) },
    { at: '/current/surprise', input: buildSignal({ current: buildState({ surprise: null }) }) },
    { at: '/current/status/surprise', input: withStatus({ surprise: 1 }) },
    {
      at: '/previous/phase/surprise',
      input: buildSignal({ previous: buildState({ phase: rank({ surprise: 1 }) }) }),
    },
  ])('unknown field $at → "Unknown field"', ({ at, input }) => {
    expect(problems(input)).toEqual({ [at]: 'Unknown field' });
  });

  it('several problems → all are reported', () => {
    const input = {
      typeCode: 'ApplicationStatusUpdate',
      positionProfileIds: ['fine', ' spaced'],
      current: { status: { label: '', index: -1 }, timestamp: 'yesterday', success: 'yes' },
      previous: { status: rank({ total: 1.5 }), timestamp: inFuture(2 * DAY_MS) },
      surprise: 1,
    };

    expect(Object.keys(problems(input)).toSorted()).toEqual([
      '/current/status/index',
      '/current/status/label',
      '/current/status/total',
      '/current/success',
      '/current/timestamp',
      '/positionProfileIds/1',
      '/previous/status/total',
      '/previous/timestamp',
      '/surprise',
      '/token',
    ]);
  });

  it('keys → JSON pointers, escaped by RFC 6901', () => {
    const input = buildSignal({ 'a/b': 1, 'c~d': 1, '~1': 1, '': 1, 'e f"': 1 });

    expect(Object.keys(problems(input)).toSorted()).toEqual([
      '/',
      '/a~1b',
      '/c~0d',
      '/e f"',
      '/~01',
    ]);
  });

  it.each([null, undefined, 'signal', 7, true, [], [buildSignal()]])(
    'input %j, which is not an object → one problem of the whole',
    (input) => {
      expect(Object.keys(problems(input))).toEqual(['']);
    },
  );

  it.each([
    { what: 'a NUL', text: 'a\0b', says: /NUL/ },
    { what: 'a lone high surrogate', text: 'a\ud83d', says: /surrogate/ },
    { what: 'a lone low surrogate', text: '\ude00a', says: /surrogate/ },
  ])('$what in any text → rejected', ({ text, says }) => {
    const fields = problems(
      buildSignal({
        token: text,
        positionProfileIds: [text],
        current: buildState({ status: rank({ label: text }), phase: rank({ label: text }) }),
      }),
    );

    expect(fields).toEqual({
      '/token': expect.stringMatching(says),
      '/positionProfileIds/0': expect.stringMatching(says),
      '/current/status/label': expect.stringMatching(says),
      '/current/phase/label': expect.stringMatching(says),
    });
  });

  it.each([
    {
      at: '/__proto__',
      json: '{"typeCode":"ApplicationComplete","token":"t","__proto__":{"a":1}}',
    },
    { at: '/constructor', json: '{"typeCode":"ApplicationComplete","token":"t","constructor":1}' },
    { at: '/toString', json: '{"typeCode":"ApplicationComplete","token":"t","toString":null}' },
    {
      at: '/hasOwnProperty',
      json: '{"typeCode":"ApplicationComplete","token":"t","hasOwnProperty":1}',
    },
    {
      at: '/current/__proto__',
      json: '{"typeCode":"ApplicationStatusUpdate","token":"t","current":{"status":{"label":"l","index":1,"total":1},"timestamp":"2026-03-01T10:00:00Z","__proto__":{"success":true}}}',
    },
    {
      at: '/current/status/__proto__',
      json: '{"typeCode":"ApplicationStatusUpdate","token":"t","current":{"status":{"label":"l","index":1,"total":1,"__proto__":null},"timestamp":"2026-03-01T10:00:00Z"}}',
    },
  ])('key of Object.prototype $at → "Unknown field"', ({ at, json }) => {
    expect(problems(JSON.parse(json))).toEqual({ [at]: 'Unknown field' });
  });

  it('required field only in __proto__ → "Is required"', () => {
    const input = JSON.parse('{"typeCode":"ApplicationComplete","__proto__":{"token":"t"}}');

    expect(problems(input)).toEqual({
      '/token': 'Is required, unless applicationId is given',
      '/__proto__': 'Unknown field',
    });
  });
});

describe('values of the input', () => {
  const SECRET = 's3cr3t-v4lue';
  const state = (value: unknown) => ({
    status: { label: value, index: value, total: value },
    phase: value,
    success: value,
    timestamp: value,
    surprise: value,
  });

  it.each([
    { what: 'as text', value: SECRET },
    { what: 'with white space around', value: ` ${SECRET} ` },
    { what: 'with a NUL', value: `${SECRET}\0` },
    { what: 'with a lone surrogate', value: `${SECRET}\ud83d` },
    { what: 'over 255 bytes', value: SECRET.repeat(30) },
    { what: 'in a list', value: [SECRET] },
    { what: 'in an object', value: { nested: SECRET } },
  ])('$what → in no problem, for every field and type', ({ value }) => {
    for (const typeCode of [
      'ApplicationComplete',
      'ApplicationStatusUpdate',
      'PositionStatusUpdate',
      'New',
      value,
    ]) {
      const fields = problems({
        typeCode,
        token: value,
        candidateApplicationProfileId: value,
        positionProfileIds: [value, { nested: value }],
        current: state(value),
        previous: state(value),
        timestamp: value,
        surprise: value,
      });

      expect(Object.keys(fields).length).toBeGreaterThan(3);
      expect(JSON.stringify(fields)).not.toContain(SECRET);
    }
  });
});
