import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSeekSample,
  buildSignal,
  buildState,
} from '../support/buildSignal.ts';
import { accepted, NOW, parse, problems } from './parse.ts';

const rank = (change: object = {}) => ({ label: 'Interview', index: 2, total: 4, ...change });
const withStatus = (change: object) =>
  buildSignal({ current: buildState({ status: rank(change) }) });
const inFuture = (ms: number) => new Date(NOW.getTime() + ms).toISOString();
const DAY_MS = 86_400_000;

describe('SEEK’s published sample', () => {
  it('parseSignal → valid, with positionProfileIds as a list', () => {
    const sample = buildSeekSample();

    expect(parse(sample, { audience: 'https://test.graphql.seek.com' })).toEqual({
      kind: 'valid',
      signal: { ...sample, positionProfileIds: [sample.positionProfileIds] },
      warnings: [],
    });
  });

  it('success: null in previous → kept', () => {
    expect(accepted(buildSeekSample()).previous).toHaveProperty('success', null);
  });
});

describe('an optional field', () => {
  it.each([
    { what: 'ApplicationComplete', signal: buildApplicationComplete() },
    { what: 'ApplicationStatusUpdate', signal: buildSignal() },
    { what: 'PositionStatusUpdate', signal: buildPositionStatusUpdate() },
    {
      what: 'a state without success',
      signal: buildSignal({ current: { status: rank(), timestamp: '2026-03-01T10:00:00Z' } }),
    },
  ])('absent in $what → stays absent', ({ signal }) => {
    expect(accepted(signal)).toStrictEqual(signal);
  });

  it.each([null, undefined])('given as %s → absent', (nothing) => {
    const signal = buildSignal({
      candidateApplicationProfileId: nothing,
      positionProfileIds: nothing,
      previous: nothing,
      current: buildState({ phase: nothing }),
    });

    expect(accepted(signal)).toStrictEqual(buildSignal());
  });

  it('null inside previous → absent', () => {
    const previous = buildState({ phase: null });

    expect(accepted(buildSignal({ previous }))).toStrictEqual(
      buildSignal({ previous: buildState() }),
    );
  });

  it.each([true, false, null])('success: %s → kept', (success) => {
    const signal = buildSignal({ current: buildState({ success }) });

    expect(accepted(signal).current).toHaveProperty('success', success);
  });

  it('token: null beside another identifier → absent', () => {
    const signal = buildSignal({ token: null, candidateApplicationProfileId: 'profile-1' });

    expect(accepted(signal)).toStrictEqual({
      typeCode: 'ApplicationStatusUpdate',
      candidateApplicationProfileId: 'profile-1',
      current: buildState(),
    });
  });

  it.each([
    { input: buildSignal({ current: null }), at: '/current' },
    { input: buildSignal({ typeCode: null }), at: '/typeCode' },
  ])('null in the required field $at → "Is required"', ({ input, at }) => {
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
  ])(
    'applicationId in place of a token → accepted; identifiers of $input → $found',
    ({ input, found }) => {
      expect(problems(input)).toEqual(found);
      const named = { typeCode: 'ApplicationComplete', applicationId: 'application-1' };
      expect(accepted({ ...named, token: null })).toStrictEqual(named);
    },
  );

  it.each([
    { input: buildSignal({ current: buildState({ status: null }) }), at: '/current/status' },
    { input: buildSignal({ current: buildState({ timestamp: null }) }), at: '/current/timestamp' },
    { input: withStatus({ label: null }), at: '/current/status/label' },
    { input: withStatus({ index: null }), at: '/current/status/index' },
    { input: buildSignal({ previous: buildState({ status: null }) }), at: '/previous/status' },
  ])('null in the required field $at of a state → a problem', ({ input, at }) => {
    expect(Object.keys(problems(input))).toEqual([at]);
  });
});

describe('text that must not change', () => {
  it.each([
    'a+b%2Bc=d/e==',
    'ü ö',
    'tøken-😀-👩‍👩‍👧',
    '"quoted" \\ back',
    'Ae\u0301', // not normalised to é
    'x'.repeat(20_000),
  ])('token %j → unchanged', (token) => {
    expect(accepted(buildSignal({ token })).token).toBe(token);
  });

  it('identifiers → unchanged', () => {
    const id = 'seekAnz:positionProfile:jobPosting:Ü+%2F=';

    expect(
      accepted(buildPositionStatusUpdate({ positionProfileIds: [id, id.toLowerCase()] })),
    ).toHaveProperty('positionProfileIds', [id, id.toLowerCase()]);
    expect(
      accepted(buildSignal({ token: undefined, candidateApplicationProfileId: id })),
    ).toHaveProperty('candidateApplicationProfileId', id);
  });

  it('labels → unchanged', () => {
    expect(accepted(withStatus({ label: ' Entretien n° 2 🎉 ' })).current?.status.label).toBe(
      ' Entretien n° 2 🎉 ',
    );
  });
});

describe('index and total', () => {
  it.each([-1, 1.5, 2 ** 31, 1e300, Number.NaN, Number.POSITIVE_INFINITY, '2', true, [2], {}, 2n])(
    '%p → rejected',
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
      what: 'timestamp of current',
      at: '/current/timestamp',
      of: (timestamp: string) => buildSignal({ current: buildState({ timestamp }) }),
    },
    {
      what: 'timestamp of previous',
      at: '/previous/timestamp',
      of: (timestamp: string) => buildSignal({ previous: buildState({ timestamp }) }),
    },
    {
      what: 'timestamp of the signal',
      at: '/timestamp',
      of: (timestamp: string) => buildApplicationComplete({ timestamp }),
    },
  ])('$what more than 24 hours ahead → rejected', ({ at, of }) => {
    expect(problems(of(inFuture(DAY_MS)))).toEqual({});
    expect(problems(of(inFuture(DAY_MS + 1)))).toEqual({
      [at]: 'Must not be more than 24 hours in the future',
    });
  });

  it('limit of 24 hours → applies to the instant, not to the local time', () => {
    const current = (timestamp: string) => buildSignal({ current: buildState({ timestamp }) });

    expect(problems(current('2026-03-04T10:00:00+10:00'))).toEqual({});
    expect(Object.keys(problems(current('2026-03-03T23:30:00-01:00')))).toEqual([
      '/current/timestamp',
    ]);
  });

  it('long ago → accepted', () => {
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
  ])('unknown type %j → rejected', (typeCode) => {
    expect(problems({ ...unknown, typeCode })).toEqual({
      '/typeCode':
        'Expected one of ApplicationComplete, ApplicationStatusUpdate, PositionStatusUpdate',
    });
  });

  it('unknown type with allowUnknownTypes → accepted, its known fields validated', () => {
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
    '%p → rejected, also with allowUnknownTypes',
    (typeCode) => {
      for (const allowUnknownTypes of [true, false]) {
        expect(Object.keys(problems({ ...unknown, typeCode }, { allowUnknownTypes }))).toEqual([
          '/typeCode',
        ]);
      }
    },
  );

  it('known type with allowUnknownTypes → validated by its own rules', () => {
    expect(
      Object.keys(problems(buildSignal({ token: undefined }), { allowUnknownTypes: true })),
    ).toEqual(['/token']);
  });
});

describe('an unknown type', () => {
  const parseNew = (fields: object) =>
    problems({ typeCode: 'New', ...fields }, { allowUnknownTypes: true });

  it('applicationId beside another identifier → rejected', () => {
    expect(parseNew({ applicationId: 'a' })).toEqual({});
    expect(parseNew({ token: 't', candidateApplicationProfileId: 'p' })).toEqual({});
    expect(Object.keys(parseNew({ token: 't', applicationId: 'a' }))).toEqual(['/applicationId']);
  });
});
