import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSeekSample,
  buildSignal,
  buildState,
} from '../support/buildSignal.ts';
import { accepted, NOW, parse, problems, warnings } from './parse.ts';

const rank = (change: object = {}) => ({ label: 'Interview', index: 2, total: 4, ...change });
const withStatus = (change: object) =>
  buildSignal({ current: buildState({ status: rank(change) }) });
const inFuture = (ms: number) => new Date(NOW.getTime() + ms).toISOString();
const DAY_MS = 86_400_000;

describe('SEEK’s published sample', () => {
  it('is accepted as it stands, and comes out with a list of positions', () => {
    const sample = buildSeekSample();

    expect(parse(sample, { audience: 'https://test.graphql.seek.com' })).toEqual({
      kind: 'valid',
      signal: { ...sample, positionProfileIds: [sample.positionProfileIds] },
      warnings: [],
    });
  });

  it('keeps the null of success in previous', () => {
    expect(accepted(buildSeekSample()).previous).toHaveProperty('success', null);
  });
});

describe('what a caller left out', () => {
  it.each([
    { what: 'ApplicationComplete', signal: buildApplicationComplete() },
    { what: 'ApplicationStatusUpdate', signal: buildSignal() },
    { what: 'PositionStatusUpdate', signal: buildPositionStatusUpdate() },
    {
      what: 'a state without success',
      signal: buildSignal({ current: { status: rank(), timestamp: '2026-03-01T10:00:00Z' } }),
    },
  ])('is left out: $what', ({ signal }) => {
    expect(accepted(signal)).toStrictEqual(signal);
  });

  it.each([null, undefined])('is left out when it was written as %s', (nothing) => {
    const signal = buildSignal({
      candidateApplicationProfileId: nothing,
      positionProfileIds: nothing,
      previous: nothing,
      current: buildState({ phase: nothing }),
    });

    expect(accepted(signal)).toStrictEqual(buildSignal());
  });

  it('is left out inside previous, too', () => {
    const previous = buildState({ phase: null });

    expect(accepted(buildSignal({ previous }))).toStrictEqual(
      buildSignal({ previous: buildState() }),
    );
  });

  it.each([true, false, null])('success: %s is kept', (success) => {
    const signal = buildSignal({ current: buildState({ success }) });

    expect(accepted(signal).current).toHaveProperty('success', success);
  });

  it('may be the identifier that the other one replaces', () => {
    const signal = buildSignal({ token: null, candidateApplicationProfileId: 'profile-1' });

    expect(accepted(signal)).toStrictEqual({
      typeCode: 'ApplicationStatusUpdate',
      candidateApplicationProfileId: 'profile-1',
      current: buildState(),
    });
  });

  it.each([
    { input: buildSignal({ current: null }), at: '/current' },
    { input: buildPositionStatusUpdate({ positionProfileIds: null }), at: '/positionProfileIds' },
    { input: buildSignal({ typeCode: null }), at: '/typeCode' },
  ])('is named where it is required: $at', ({ input, at }) => {
    expect(problems(input)).toEqual({ [at]: 'Is required' });
  });

  it.each([
    {
      input: buildApplicationComplete({ token: null }),
      found: { '/token': 'Is required, unless applicationId is given' },
    },
    {
      input: buildSignal({ token: null }),
      found: {
        '/token': 'Is required, unless candidateApplicationProfileId or applicationId is given',
      },
    },
    {
      input: buildSignal({ applicationId: 'a', candidateApplicationProfileId: 'p' }),
      found: {
        '/candidateApplicationProfileId':
          'Must not be given beside token: one of them identifies it',
        '/applicationId': 'Must not be given beside token: one of them identifies it',
      },
    },
    {
      input: buildPositionStatusUpdate({ applicationId: 'a' }),
      found: { '/applicationId': 'Is not part of PositionStatusUpdate' },
    },
    {
      input: buildApplicationComplete({ token: null, applicationId: ' a' }),
      found: { '/applicationId': 'Must not begin or end with white space' },
    },
  ])('may be an application in place of a token, and nothing beside it', ({ input, found }) => {
    expect(problems(input)).toEqual(found);
    const named = { typeCode: 'ApplicationComplete', applicationId: 'application-1' };
    expect(accepted({ ...named, token: null })).toStrictEqual(named);
  });

  it.each([
    { input: buildSignal({ current: buildState({ status: null }) }), at: '/current/status' },
    { input: buildSignal({ current: buildState({ timestamp: null }) }), at: '/current/timestamp' },
    { input: withStatus({ label: null }), at: '/current/status/label' },
    { input: withStatus({ index: null }), at: '/current/status/index' },
    { input: buildSignal({ previous: buildState({ status: null }) }), at: '/previous/status' },
  ])('may not be null where it is required: $at', ({ input, at }) => {
    expect(Object.keys(problems(input))).toEqual([at]);
  });
});

describe('what travels byte for byte', () => {
  it.each([
    'a+b%2Bc=d/e==',
    'ü ö',
    'tøken-😀-👩‍👩‍👧',
    '"quoted" \\ back',
    'Ae\u0301', // not normalised to é
    'x'.repeat(20_000),
  ])('a token such as %j', (token) => {
    expect(accepted(buildSignal({ token })).token).toBe(token);
  });

  it('the identifiers, as well', () => {
    const id = 'seekAnz:positionProfile:jobPosting:Ü+%2F=';

    expect(
      accepted(buildPositionStatusUpdate({ positionProfileIds: [id, id.toLowerCase()] })),
    ).toHaveProperty('positionProfileIds', [id, id.toLowerCase()]);
    expect(
      accepted(buildSignal({ token: undefined, candidateApplicationProfileId: id })),
    ).toHaveProperty('candidateApplicationProfileId', id);
  });

  it('the labels, as the hirer sees them', () => {
    expect(accepted(withStatus({ label: ' Entretien n° 2 🎉 ' })).current?.status.label).toBe(
      ' Entretien n° 2 🎉 ',
    );
  });
});

describe('white space around an identifier is refused, never repaired', () => {
  const spaces = [' x', 'x ', '\tx', 'x\n', 'x\r\n', '\u00a0x', 'x\u2003', '\ufeffx', ' '];

  it.each(spaces)('token %j', (token) => {
    expect(problems(buildSignal({ token }))).toEqual({
      '/token': 'Must not begin or end with white space',
    });
  });

  it.each(spaces)('identifiers %j', (id) => {
    const message = 'Must not begin or end with white space';

    expect(problems(buildPositionStatusUpdate({ positionProfileIds: ['fine', id] }))).toEqual({
      '/positionProfileIds/1': message,
    });
    expect(problems(buildSignal({ token: undefined, candidateApplicationProfileId: id }))).toEqual({
      '/candidateApplicationProfileId': message,
    });
  });

  it('a bare string is told of at the place of a list of one', () => {
    expect(problems(buildPositionStatusUpdate({ positionProfileIds: 'x ' }))).toEqual({
      '/positionProfileIds/0': 'Must not begin or end with white space',
    });
  });
});

describe('identifiers', () => {
  it.each([
    { what: '255 ASCII characters', id: 'a'.repeat(255), fits: true },
    { what: '256 ASCII characters', id: 'a'.repeat(256), fits: false },
    { what: '127 ü and one more, 255 bytes', id: `${'ü'.repeat(127)}a`, fits: true },
    { what: '128 ü, 256 bytes', id: 'ü'.repeat(128), fits: false },
    { what: '63 emoji and 3, 255 bytes', id: `${'😀'.repeat(63)}abc`, fits: true },
    { what: '64 emoji, 256 bytes', id: '😀'.repeat(64), fits: false },
  ])('$what: accepted is $fits', ({ id, fits }) => {
    const candidate = buildSignal({ token: undefined, candidateApplicationProfileId: id });
    const position = buildPositionStatusUpdate({ positionProfileIds: ['other', id] });

    expect(Object.keys(problems(candidate))).toEqual(
      fits ? [] : ['/candidateApplicationProfileId'],
    );
    expect(Object.keys(problems(position))).toEqual(fits ? [] : ['/positionProfileIds/1']);
  });

  it.each([
    { positionProfileIds: [], at: '/positionProfileIds' },
    { positionProfileIds: '', at: '/positionProfileIds/0' },
    { positionProfileIds: [''], at: '/positionProfileIds/0' },
    { positionProfileIds: ['fine', 7], at: '/positionProfileIds/1' },
    { positionProfileIds: ['fine', null], at: '/positionProfileIds/1' },
    { positionProfileIds: { 0: 'fine' }, at: '/positionProfileIds' },
    { positionProfileIds: 7, at: '/positionProfileIds' },
  ])('positionProfileIds of $positionProfileIds are refused at $at', (row) => {
    const { positionProfileIds, at } = row;

    expect(Object.keys(problems(buildPositionStatusUpdate({ positionProfileIds })))).toEqual([at]);
  });

  it.each([
    { what: 'ApplicationComplete with token', input: buildApplicationComplete(), at: [] },
    {
      what: 'ApplicationComplete without',
      input: buildApplicationComplete({ token: undefined }),
      at: ['/token'],
    },
    {
      what: 'ApplicationComplete with a profile',
      input: buildApplicationComplete({ candidateApplicationProfileId: 'p' }),
      at: ['/candidateApplicationProfileId'],
    },
    {
      what: 'ApplicationComplete with positions',
      input: buildApplicationComplete({ positionProfileIds: ['p'] }),
      at: ['/positionProfileIds'],
    },
    {
      what: 'ApplicationComplete with a state',
      input: buildApplicationComplete({ current: buildState(), previous: buildState() }),
      at: ['/current', '/previous'],
    },
    {
      what: 'ApplicationComplete with its own time',
      input: buildApplicationComplete({ timestamp: '2026-03-01T10:00:00Z' }),
      at: [],
    },
    {
      what: 'ApplicationStatusUpdate with neither',
      input: buildSignal({ token: undefined }),
      at: ['/token'],
    },
    {
      what: 'ApplicationStatusUpdate with both',
      input: buildSignal({ candidateApplicationProfileId: 'p' }),
      at: ['/candidateApplicationProfileId'],
    },
    {
      what: 'ApplicationStatusUpdate with positions only',
      input: buildSignal({ token: undefined, positionProfileIds: ['p'] }),
      at: ['/token'],
    },
    {
      what: 'ApplicationStatusUpdate with token and positions',
      input: buildSignal({ positionProfileIds: ['p'] }),
      at: [],
    },
    {
      what: 'ApplicationStatusUpdate with a top-level time',
      input: buildSignal({ timestamp: '2026-03-01T10:00:00Z' }),
      at: ['/timestamp'],
    },
    {
      what: 'ApplicationStatusUpdate without current',
      input: buildSignal({ current: undefined }),
      at: ['/current'],
    },
    {
      what: 'PositionStatusUpdate with a token',
      input: buildPositionStatusUpdate({ token: 't' }),
      at: ['/token'],
    },
    {
      what: 'PositionStatusUpdate with a profile',
      input: buildPositionStatusUpdate({ candidateApplicationProfileId: 'p' }),
      at: ['/candidateApplicationProfileId'],
    },
    {
      what: 'PositionStatusUpdate without positions',
      input: buildPositionStatusUpdate({ positionProfileIds: undefined }),
      at: ['/positionProfileIds'],
    },
    {
      what: 'PositionStatusUpdate without current',
      input: buildPositionStatusUpdate({ current: undefined }),
      at: ['/current'],
    },
  ])('$what: refused at $at', ({ input, at }) => {
    expect(Object.keys(problems(input)).toSorted()).toEqual(at);
  });

  it('of the wrong kind are told apart from fields that nobody knows', () => {
    expect(problems(buildPositionStatusUpdate({ token: 't', tokn: 't' }))).toEqual({
      '/token': 'Is not part of PositionStatusUpdate',
      '/tokn': 'Unknown field',
    });
  });
});

describe('index and total', () => {
  it.each([
    { status: { index: 1, total: 1 }, says: [] },
    { status: { index: 4, total: 4 }, says: [] },
    {
      status: { index: 0, total: 4 },
      says: ['/current/status/index: is 0; SEEK recommends counting from 1'],
    },
    { status: { index: 5, total: 4 }, says: ['/current/status/index: 5 is greater than total 4'] },
    { status: { index: 2_147_483_647, total: 2_147_483_647 }, says: [] },
  ])('$status is accepted, with the warnings $says', ({ status, says }) => {
    expect(warnings(withStatus(status))).toEqual(says);
  });

  it('warn for phase and status, of current and previous', () => {
    const state = buildState({ phase: rank({ index: 0 }), status: rank({ index: 9 }) });

    expect(warnings(buildSignal({ current: state, previous: state }))).toEqual([
      expect.stringMatching(/^\/current\/phase\/index: /),
      expect.stringMatching(/^\/current\/status\/index: /),
      expect.stringMatching(/^\/previous\/phase\/index: /),
      expect.stringMatching(/^\/previous\/status\/index: /),
    ]);
  });

  it.each([-1, 1.5, 2 ** 31, 1e300, Number.NaN, Number.POSITIVE_INFINITY, '2', true, [2], {}, 2n])(
    'refuse %p',
    (number) => {
      const message = 'Expected a whole number from 0 to 2147483647';
      const { '/current/status/index': index, '/current/status/total': total } = problems(
        withStatus({ index: number, total: number }),
      );

      expect([index, total]).toEqual([
        expect.stringContaining(message),
        expect.stringContaining(message),
      ]);
    },
  );
});

describe('timestamps', () => {
  it.each([
    {
      what: 'current',
      at: '/current/timestamp',
      of: (timestamp: string) => buildSignal({ current: buildState({ timestamp }) }),
    },
    {
      what: 'previous',
      at: '/previous/timestamp',
      of: (timestamp: string) => buildSignal({ previous: buildState({ timestamp }) }),
    },
    {
      what: 'the signal',
      at: '/timestamp',
      of: (timestamp: string) => buildApplicationComplete({ timestamp }),
    },
  ])('of $what may lie 24 hours ahead and no more', ({ at, of }) => {
    expect(problems(of(inFuture(DAY_MS)))).toEqual({});
    expect(problems(of(inFuture(DAY_MS + 1)))).toEqual({
      [at]: 'Must not be more than 24 hours in the future',
    });
  });

  it('are judged as instants, whatever their offset', () => {
    const current = (timestamp: string) => buildSignal({ current: buildState({ timestamp }) });

    expect(problems(current('2026-03-04T10:00:00+10:00'))).toEqual({});
    expect(Object.keys(problems(current('2026-03-03T23:30:00-01:00')))).toEqual([
      '/current/timestamp',
    ]);
  });

  it('of long ago are accepted', () => {
    expect(
      accepted(buildSignal({ current: buildState({ timestamp: '1999-12-31T23:59:59Z' }) })),
    ).toBeDefined();
  });
});

describe('typeCode', () => {
  const unknown = {
    typeCode: 'InterviewBooked',
    token: 'seek-token-1',
    current: buildState({ phase: null }),
  };

  it.each([
    'InterviewBooked',
    'applicationcomplete',
    'ApplicationComplete ',
    '',
    'constructor',
    '__proto__',
    'toString',
  ])('%j is refused', (typeCode) => {
    expect(problems({ ...unknown, typeCode })).toEqual({
      '/typeCode':
        'Expected one of ApplicationComplete, ApplicationStatusUpdate, PositionStatusUpdate',
    });
  });

  it('that SEEK added since passes where that is allowed, validated as far as known', () => {
    expect(accepted(unknown, { allowUnknownTypes: true })).toStrictEqual({
      ...unknown,
      current: buildState(),
    });
    expect(problems({ ...unknown, token: ' t', surprise: 1 }, { allowUnknownTypes: true })).toEqual(
      {
        '/token': 'Must not begin or end with white space',
        '/surprise': 'Unknown field',
      },
    );
  });

  it.each([7, null, undefined, {}, ['ApplicationComplete']])(
    '%p is refused, unknown types allowed or not',
    (typeCode) => {
      for (const allowUnknownTypes of [true, false]) {
        expect(Object.keys(problems({ ...unknown, typeCode }, { allowUnknownTypes }))).toEqual([
          '/typeCode',
        ]);
      }
    },
  );

  it('that is known is held to its own rules although unknown types are allowed', () => {
    expect(
      Object.keys(problems(buildSignal({ token: undefined }), { allowUnknownTypes: true })),
    ).toEqual(['/token']);
  });
});

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
  ])('name the unknown field $at', ({ at, input }) => {
    expect(problems(input)).toEqual({ [at]: 'Unknown field' });
  });

  it('are named all at once', () => {
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

  it('are keyed by JSON pointer, escaped as RFC 6901 says', () => {
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
    'of %j: it is no object',
    (input) => {
      expect(Object.keys(problems(input))).toEqual(['']);
    },
  );

  it.each([
    { what: 'a NUL', text: 'a\0b', says: /NUL/ },
    { what: 'a lone high surrogate', text: 'a\ud83d', says: /surrogate/ },
    { what: 'a lone low surrogate', text: '\ude00a', says: /surrogate/ },
  ])('name $what, wherever text may stand', ({ text, says }) => {
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
  ])('name a prototype’s key like any other: $at', ({ at, json }) => {
    expect(problems(JSON.parse(json))).toEqual({ [at]: 'Unknown field' });
  });

  it('find a required field missing although a prototype offers it', () => {
    const input = JSON.parse('{"typeCode":"ApplicationComplete","__proto__":{"token":"t"}}');

    expect(problems(input)).toEqual({
      '/token': 'Is required, unless applicationId is given',
      '/__proto__': 'Unknown field',
    });
  });
});

describe('no message repeats what was given', () => {
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
  ])('$what, in every field, under every type', ({ value }) => {
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

describe('a type that SEEK added since', () => {
  const parseNew = (fields: object) =>
    problems({ typeCode: 'New', ...fields }, { allowUnknownTypes: true });

  it('names an application or has a token, never both', () => {
    expect(parseNew({ applicationId: 'a' })).toEqual({});
    expect(parseNew({ token: 't', candidateApplicationProfileId: 'p' })).toEqual({});
    expect(Object.keys(parseNew({ token: 't', applicationId: 'a' }))).toEqual(['/applicationId']);
  });
});

describe('what SEEK would swallow', () => {
  const ended = (status: object, phase?: object) =>
    buildSignal({ current: buildState({ status, success: false, ...(phase && { phase }) }) });
  const first = { label: 'First', index: 1, total: 3 };
  const last = { label: 'Last', index: 3, total: 3 };

  it.each([
    [
      ended(first),
      ['/current/success: is false before the last status; null means that the process continues'],
    ],
    [ended(last), []],
    [ended(first, last), []],
    [ended(last, first), []],
    [buildSignal({ current: buildState({ status: first, success: true }) }), []],
  ])('is an end that is none: %j', (signal, says) => {
    expect(warnings(signal)).toEqual(says);
  });

  it.each([
    ['2026-03-01T10:00:01Z', ['/previous/timestamp: is later than that of current']],
    ['2026-03-01T10:00:00Z', []],
  ])('is a past after the present: %s', (timestamp, says) => {
    expect(warnings(buildSignal({ previous: buildState({ timestamp }) }))).toEqual(says);
  });
});

describe('warnings', () => {
  const warning = expect.stringMatching(/^\/: .*public test data/);
  const LIVE = 'https://graphql.seek.com';
  const PLAYGROUND = 'https://test.graphql.seek.com';

  it.each([
    { audience: LIVE, change: { token: 'globalPublicTest-abc' }, says: [warning] },
    { audience: PLAYGROUND, change: { token: 'globalPublicTest-abc' }, says: [] },
    {
      audience: LIVE,
      change: { positionProfileIds: ['p', 'globalPublicTest-p'] },
      says: [warning],
    },
    {
      audience: LIVE,
      change: { token: undefined, candidateApplicationProfileId: 'globalPublicTest-c' },
      says: [warning],
    },
    { audience: LIVE, change: { token: 'abc-globalPublicTest-' }, says: [] },
    {
      audience: LIVE,
      change: { current: buildState({ status: rank({ label: 'globalPublicTest-' }) }) },
      says: [],
    },
  ])('about documentation values: $change sent to $audience', ({ audience, change, says }) => {
    expect(warnings(buildSignal(change), { audience })).toEqual(says);
  });

  it('never repeat a token', () => {
    expect(warnings(buildSignal({ token: 'globalPublicTest-abc' })).join()).not.toContain('abc');
  });
});
