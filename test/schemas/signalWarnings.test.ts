import { buildApplicationComplete, buildSignal, buildState } from '../support/buildSignal.ts';
import { warnings } from './parse.ts';

const rank = (change: object = {}) => ({ label: 'Interview', index: 2, total: 4, ...change });
const withStatus = (change: object) =>
  buildSignal({ current: buildState({ status: rank(change) }) });

describe('warnings about index and total', () => {
  it.each([
    { status: { index: 1, total: 1 }, says: [] },
    { status: { index: 4, total: 4 }, says: [] },
    {
      status: { index: 0, total: 4 },
      says: ['/current/status/index: is 0; SEEK recommends counting from 1'],
    },
    { status: { index: 5, total: 4 }, says: ['/current/status/index: 5 is greater than total 4'] },
    { status: { index: 2_147_483_647, total: 2_147_483_647 }, says: [] },
  ])('$status → warnings $says', ({ status, says }) => {
    expect(warnings(withStatus(status))).toEqual(says);
  });

  it('phase and status of current and previous → one warning each', () => {
    const state = buildState({ phase: rank({ index: 0 }), status: rank({ index: 9 }) });

    expect(warnings(buildSignal({ current: state, previous: state }))).toEqual([
      expect.stringMatching(/^\/current\/phase\/index: /),
      expect.stringMatching(/^\/current\/status\/index: /),
      expect.stringMatching(/^\/previous\/phase\/index: /),
      expect.stringMatching(/^\/previous\/status\/index: /),
    ]);
  });
});

describe('warnings about states', () => {
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
  ])('success: false before the last status: %j → warnings %j', (signal, says) => {
    expect(warnings(signal)).toEqual(says);
  });

  it.each([
    ['2026-03-01T10:00:01Z', ['/previous/timestamp: is later than that of current']],
    ['2026-03-01T10:00:00Z', []],
  ])('current at 10:00:00 and previous at %s → warnings %j', (timestamp, says) => {
    expect(warnings(buildSignal({ previous: buildState({ timestamp }) }))).toEqual(says);
  });
});

describe('warnings about what SEEK expects in each signal', () => {
  it('success left out → one warning for each state', () => {
    const state = buildState({ success: undefined });

    expect(warnings(buildSignal({ current: state, previous: state }))).toEqual([
      '/current/success: is missing; SEEK expects null while the process continues',
      '/previous/success: is missing; SEEK expects null while the process continues',
    ]);
  });

  it.each([null, true, undefined])('current with success %s → as expected', (success) => {
    expect(warnings(buildSignal({ current: buildState({ success }) }))).toHaveLength(
      success === undefined ? 1 : 0,
    );
  });

  it('ApplicationComplete without a timestamp → says which time is sent', () => {
    const timestamp = '2026-03-01T10:00:00Z';

    expect(warnings(buildApplicationComplete({ timestamp: undefined }))).toEqual([
      '/timestamp: is missing; the time of acceptance is sent',
    ]);
    expect(warnings(buildApplicationComplete({ timestamp }))).toEqual([]);
  });
});

describe('warnings about values of SEEK’s documentation', () => {
  const warning = expect.stringMatching(/^\/: .*public test data/);
  const LIVE = 'https://graphql.seek.com';
  const PLAYGROUND = 'https://test.graphql.seek.com';

  it.each([
    { audience: LIVE, change: { token: 'globalPublicTest-abc' }, says: [warning] },
    { audience: PLAYGROUND, change: { token: 'globalPublicTest-abc' }, says: [] },
    {
      audience: LIVE,
      change: { positionProfileIds: ['globalPublicTest:position:1'] },
      says: [warning],
    },
    {
      audience: LIVE,
      change: { positionProfileIds: ['seekAnzPublicTest:positionProfile:jobAd:1'] },
      says: [warning],
    },
    {
      audience: LIVE,
      change: { positionProfileIds: ['seekAnz:positionProfile:jobAd:1'] },
      says: [],
    },
    {
      audience: PLAYGROUND,
      change: { positionProfileIds: ['seekAnzPublicTest:positionProfile:jobAd:1'] },
      says: [],
    },
    {
      audience: PLAYGROUND,
      change: { positionProfileIds: ['seekAnz:positionProfile:jobAd:1'] },
      says: [warning],
    },
    {
      audience: PLAYGROUND,
      change: { token: undefined, candidateApplicationProfileId: 'seekAnz:profile:1' },
      says: [warning],
    },
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
  ])('$change sent to $audience → warnings $says', ({ audience, change, says }) => {
    expect(warnings(buildSignal(change), { audience })).toEqual(says);
  });

  it('warning → does not contain the token', () => {
    expect(warnings(buildSignal({ token: 'globalPublicTest-abc' })).join()).not.toContain('abc');
  });
});
