import { createGatewayRefusals } from '../../../src/worker/delivery/gatewayRefusals.ts';

const setup = () => {
  const clock = { now: 0 };
  return { ...createGatewayRefusals(() => clock.now), clock };
};

describe('refusals of a gateway', () => {
  it('one signal, however often → no other is refused', () => {
    const { refuse } = setup();

    expect([refuse('a'), refuse('a'), refuse('a')]).toEqual([false, false, false]);
  });

  it('another signal within a minute → others are refused too', () => {
    const { refuse, clock } = setup();

    expect(refuse('a')).toBe(false);
    clock.now = 60_000;
    expect(refuse('b')).toBe(true);
    expect(refuse('a')).toBe(true);
  });

  it('another signal over a minute ago → no longer counts', () => {
    const { refuse, clock } = setup();

    refuse('a');
    clock.now = 60_001;
    expect(refuse('b')).toBe(false);
  });

  it('the other signal is accepted → no longer counts', () => {
    const { refuse, accept } = setup();

    refuse('a');
    accept('a');
    expect(refuse('b')).toBe(false);
  });
});
