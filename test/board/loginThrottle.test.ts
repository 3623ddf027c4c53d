import { createLoginThrottle } from '../../src/board/login.ts';

const setup = () => {
  let now = 1_000_000;
  const loginThrottle = createLoginThrottle(() => now);
  return {
    ...loginThrottle,
    guess: (times: number, address = 'a') => {
      for (let time = 0; time < times; time += 1) loginThrottle.note(address);
    },
    pass: (ms: number) => {
      now += ms;
    },
  };
};

describe('wrong logins', () => {
  it('let an address wait after the twentieth within a minute, and no other', () => {
    const { guess, waitSeconds } = setup();

    guess(19);
    expect(waitSeconds('a')).toBeUndefined();
    guess(1);

    expect(waitSeconds('a')).toBe(60);
    expect(waitSeconds('b')).toBeUndefined();
  });

  it('let it wait until fewer than twenty are of the last minute', () => {
    const { guess, waitSeconds, pass } = setup();
    guess(10);
    pass(30_000);
    guess(10);

    expect(waitSeconds('a')).toBe(30);
    pass(30_000);
    expect(waitSeconds('a')).toBeUndefined();
    guess(10);
    expect(waitSeconds('a')).toBe(30);
  });

  it('are not remembered without bound', () => {
    const { guess, waitSeconds } = setup();
    guess(20);
    for (let other = 0; other < 10_000; other += 1) guess(1, `other-${other}`);

    expect(waitSeconds('a')).toBeUndefined();
  });
});
