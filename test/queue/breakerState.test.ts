import {
  type BreakerState,
  parseBreakerState,
  viewDelivery,
} from '../../src/queue/breakerState.ts';

const OPEN: BreakerState = {
  open: {
    since: Date.parse('2026-03-01T12:00:00Z'),
    code: 'HTTP_503',
    reason: 'HTTP 503 without a GraphQL answer',
    pauses: 3,
    until: Date.parse('2026-03-01T12:00:07Z'),
  },
};
const HALF_OPEN: BreakerState = {
  ...OPEN,
  ...(OPEN.open && { open: { ...OPEN.open, probe: { by: 'A', until: 1 } } }),
};

describe('the stored state of the circuit breaker', () => {
  it.each<{ what: string; state: BreakerState }>([
    { what: 'closed', state: {} },
    { what: 'open', state: OPEN },
    { what: 'half-open', state: HALF_OPEN },
    { what: 'throttled', state: { throttle: { perSecond: 12.5, at: 7 } } },
    { what: 'half-open and throttled', state: { ...HALF_OPEN, throttle: { perSecond: 5, at: 7 } } },
  ])('is read back as it was written: $what', ({ state }) => {
    expect(parseBreakerState(JSON.stringify(state))).toEqual(state);
  });

  it.each([
    '',
    'garbage',
    'null',
    '7',
    '[]',
    '"open"',
    '{"open":true}',
    '{"open":{"since":1}}',
    JSON.stringify({ open: { ...OPEN.open, until: 'soon' } }),
    JSON.stringify({ open: { ...OPEN.open, until: null } }),
    '{"open":',
  ])('that cannot be read counts as closed: %s', (text) => {
    expect(parseBreakerState(text)).toEqual({});
  });
});

describe('the view of delivery', () => {
  const view = (state: BreakerState, at: string) =>
    viewDelivery({ state, now: Date.parse(at), version: '', perSecond: 0 });

  it('is running while the breaker is closed, throttled or not', () => {
    const state = { throttle: { perSecond: 5, at: 7 } };

    expect(view(state, '2026-03-01T12:00:05Z')).toEqual({ state: 'running' });
  });

  it('is suspended while the breaker is open, with the time, the reason and the next probe', () => {
    expect(view(HALF_OPEN, '2026-03-01T12:00:04.6Z')).toEqual({
      state: 'suspended',
      since: '2026-03-01T12:00:00.000Z',
      seconds: 5,
      code: 'HTTP_503',
      reason: 'HTTP 503 without a GraphQL answer',
      nextProbeAt: '2026-03-01T12:00:07.000Z',
    });
  });

  it('shows no negative duration after a clock was set back', () => {
    expect(view(OPEN, '2026-03-01T11:59:00Z')).toHaveProperty('seconds', 0);
  });
});
