import {
  type BreakerState,
  parseBreakerState,
  viewDelivery,
} from '../../src/queue/breakerState.ts';

const CLOSED: BreakerState = {
  closed: {
    since: Date.parse('2026-03-01T12:00:00Z'),
    code: 'HTTP_503',
    reason: 'HTTP 503 without a GraphQL answer',
    pauses: 3,
    until: Date.parse('2026-03-01T12:00:07Z'),
  },
};
const PROBED: BreakerState = {
  ...CLOSED,
  ...(CLOSED.closed && { closed: { ...CLOSED.closed, probe: { by: 'A', until: 1 } } }),
};

describe('what is stored of the lane', () => {
  it.each<{ what: string; state: BreakerState }>([
    { what: 'open', state: {} },
    { what: 'closed', state: CLOSED },
    { what: 'closed, and somebody tries', state: PROBED },
    { what: 'slowed', state: { pace: { perSecond: 12.5, at: 7 } } },
    { what: 'both', state: { ...PROBED, pace: { perSecond: 5, at: 7 } } },
  ])('is read back as it was written: $what', ({ state }) => {
    expect(parseBreakerState(JSON.stringify(state))).toEqual(state);
  });

  it.each([
    '',
    'garbage',
    'null',
    '7',
    '[]',
    '"closed"',
    '{"closed":true}',
    '{"closed":{"since":1}}',
    JSON.stringify({ closed: { ...CLOSED.closed, until: 'soon' } }),
    JSON.stringify({ closed: { ...CLOSED.closed, until: null } }),
    '{"closed":',
  ])('counts as open where it cannot be read: %s', (text) => {
    expect(parseBreakerState(text)).toEqual({});
  });
});

describe('what people see of the lane', () => {
  const view = (state: BreakerState, at: string) =>
    viewDelivery({ state, now: Date.parse(at), version: '' });

  it('is that it is open, whatever its pace', () => {
    const state = { pace: { perSecond: 5, at: 7 } };

    expect(view(state, '2026-03-01T12:00:05Z')).toEqual({ state: 'open' });
  });

  it('is since when it is closed, why, and when somebody tries next', () => {
    expect(view(PROBED, '2026-03-01T12:00:04.6Z')).toEqual({
      ...{ state: 'closed', since: '2026-03-01T12:00:00.000Z', seconds: 5, code: 'HTTP_503' },
      reason: 'HTTP 503 without a GraphQL answer',
      nextProbeAt: '2026-03-01T12:00:07.000Z',
    });
  });

  it('is no negative time, were a clock set back', () => {
    expect(view(CLOSED, '2026-03-01T11:59:00Z')).toHaveProperty('seconds', 0);
  });
});
