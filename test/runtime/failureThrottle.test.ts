import { createFailureThrottle } from '../../src/runtime/failureThrottle.ts';

const setup = () => {
  let now = 1_000_000;
  const loginThrottle = createFailureThrottle(() => now);
  return {
    ...loginThrottle,
    failLogins: (count: number, address = 'a') => {
      for (let failure = 0; failure < count; failure += 1) loginThrottle.recordFailure(address);
    },
    advance: (ms: number) => {
      now += ms;
    },
  };
};

describe('failure throttle', () => {
  it('twenty failed logins within a minute → only that address must wait', () => {
    const { failLogins, waitSeconds } = setup();

    failLogins(19);
    expect(waitSeconds('a')).toBeUndefined();
    failLogins(1);

    expect(waitSeconds('a')).toBe(60);
    expect(waitSeconds('b')).toBeUndefined();
  });

  it('failed logins older than a minute → no longer counted', () => {
    const { failLogins, waitSeconds, advance } = setup();
    failLogins(10);
    advance(30_000);
    failLogins(10);

    expect(waitSeconds('a')).toBe(30);
    advance(30_000);
    expect(waitSeconds('a')).toBeUndefined();
    failLogins(10);
    expect(waitSeconds('a')).toBe(30);
  });

  it('10,000 other addresses with failed logins → memory is cleared, the address need not wait', () => {
    const { failLogins, waitSeconds } = setup();
    failLogins(20);
    for (let other = 0; other < 10_000; other += 1) failLogins(1, `other-${other}`);

    expect(waitSeconds('a')).toBeUndefined();
  });
});
