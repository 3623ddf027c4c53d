import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
  buildState,
} from '../support/buildSignal.ts';
import { problems } from './parse.ts';

describe('white space around an identifier', () => {
  const spaces = [' x', 'x ', '\tx', 'x\n', 'x\r\n', '\u00a0x', 'x\u2003', '\ufeffx', ' '];

  it.each(spaces)('token %j → rejected', (token) => {
    expect(problems(buildSignal({ token }))).toEqual({
      '/token': 'Must not begin or end with white space',
    });
  });

  it.each(spaces)('identifier %j → rejected', (id) => {
    const message = 'Must not begin or end with white space';

    expect(problems(buildPositionStatusUpdate({ positionProfileIds: ['fine', id] }))).toEqual({
      '/positionProfileIds/1': message,
    });
    expect(problems(buildSignal({ token: undefined, candidateApplicationProfileId: id }))).toEqual({
      '/candidateApplicationProfileId': message,
    });
  });

  it('bare string → the problem names position 0 of the list', () => {
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
  ])('$what → accepted: $fits', ({ id, fits }) => {
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
  ])('positionProfileIds $positionProfileIds → problem at $at', (row) => {
    const { positionProfileIds, at } = row;

    expect(Object.keys(problems(buildPositionStatusUpdate({ positionProfileIds })))).toEqual([at]);
  });

  it.each([
    { what: 'ApplicationComplete with token', input: buildApplicationComplete(), at: [] },
    {
      what: 'ApplicationComplete without a token',
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
      what: 'ApplicationStatusUpdate without an identifier',
      input: buildSignal({ token: undefined }),
      at: ['/token'],
    },
    {
      what: 'ApplicationStatusUpdate with token and profile',
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
      at: [],
    },
    {
      what: 'PositionStatusUpdate with a top-level time',
      input: buildPositionStatusUpdate({ timestamp: '2026-03-01T10:00:00Z' }),
      at: [],
    },
    {
      what: 'ApplicationStatusUpdate with a time that is none',
      input: buildSignal({ timestamp: 'yesterday' }),
      at: ['/timestamp'],
    },
    {
      what: 'ApplicationStatusUpdate with token and position id',
      input: buildSignal({ positionId: 'requisition-1' }),
      at: [],
    },
    {
      what: 'ApplicationStatusUpdate with position id and positions',
      input: buildSignal({ positionId: 'requisition-1', positionProfileIds: ['p'] }),
      at: ['/positionId'],
    },
    {
      what: 'ApplicationComplete with a position id',
      input: buildApplicationComplete({ positionId: 'requisition-1' }),
      at: ['/positionId'],
    },
    {
      what: 'PositionStatusUpdate with a position id in place of positions',
      input: buildPositionStatusUpdate({ positionProfileIds: undefined, positionId: 'r' }),
      at: [],
    },
    {
      what: 'PositionStatusUpdate with position id and positions',
      input: buildPositionStatusUpdate({ positionId: 'requisition-1' }),
      at: ['/positionId'],
    },
    {
      what: 'PositionStatusUpdate with null positions',
      input: buildPositionStatusUpdate({ positionProfileIds: null }),
      at: ['/positionProfileIds'],
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
  ])('$what → problems at $at', ({ input, at }) => {
    expect(Object.keys(problems(input)).toSorted()).toEqual(at);
  });

  it('field of another type → "Is not part of", unknown field → "Unknown field"', () => {
    expect(problems(buildPositionStatusUpdate({ token: 't', tokn: 't' }))).toEqual({
      '/token': 'Is not part of PositionStatusUpdate',
      '/tokn': 'Unknown field',
    });
  });
});
