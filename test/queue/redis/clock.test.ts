import { createRedisClock } from '../../../src/queue/redis/clock.ts';

const REDIS_TIME = Date.parse('2026-03-01T12:00:00Z');

/** Redis and this process, whose clocks the test moves. `roundTripMs`: how long each answer takes. */
const setup = ({ roundTripMs = 0 } = {}) => {
  const state = { wall: 0, steady: 500, redis: REDIS_TIME, roundTripMs, asked: 0 };
  let failure: Error | undefined;
  let onReady = () => {};
  const client = {
    time: async () => {
      state.asked += 1;
      if (failure !== undefined) throw failure;
      state.steady += state.roundTripMs;
      state.wall += state.roundTripMs;
      const at = state.redis + state.roundTripMs / 2;
      return [Math.floor(at / 1_000), (at % 1_000) * 1_000] as [number, number];
    },
    on: (_: 'ready', listener: () => void) => {
      onReady = listener;
    },
  };
  const clock = createRedisClock(client, { wall: () => state.wall, steady: () => state.steady });
  const passes = (ms: number) => {
    state.wall += ms;
    state.steady += ms;
    state.redis += ms;
  };
  return {
    clock,
    state,
    passes,
    connect: () => onReady(),
    fail: (err?: Error) => {
      failure = err;
    },
  };
};

describe('the clock of Redis', () => {
  it('is read → answers the time of Redis, whatever the clock of this process', async () => {
    const { clock, state, passes } = setup({ roundTripMs: 200 });

    expect(await clock.read()).toBe(REDIS_TIME + 200);
    passes(1_000);

    expect([clock.estimate(), await clock.read(), state.asked]).toEqual([
      REDIS_TIME + 1_200,
      REDIS_TIME + 1_200,
      1,
    ]);
  });

  it('a minute has passed → asks again', async () => {
    const { clock, state, passes } = setup();

    await clock.read();
    passes(60_000);
    state.redis += 5_000;

    expect([await clock.read(), state.asked]).toEqual([REDIS_TIME + 65_000, 2]);
  });

  it('the clock of this process is set, or its machine was suspended → asks again', async () => {
    const { clock, state } = setup();

    await clock.read();
    state.wall += 86_400_000;
    state.redis += 86_400_000;

    expect([await clock.read(), state.asked]).toEqual([REDIS_TIME + 86_400_000, 2]);
  });

  it('connects to another Redis → asks again', async () => {
    const { clock, state, connect } = setup();

    await clock.read();
    state.redis += 7_000;
    connect();
    await Promise.resolve();
    await Promise.resolve();

    expect([clock.estimate(), state.asked]).toEqual([REDIS_TIME + 7_000, 2]);
  });

  it('an answer took ten seconds, and an earlier one is known → keeps the earlier one', async () => {
    const { clock, state, connect } = setup();

    await clock.read();
    Object.assign(state, { roundTripMs: 10_000, redis: REDIS_TIME + 99_000 });
    connect();
    await Promise.resolve();
    await Promise.resolve();

    expect(clock.estimate()).toBe(REDIS_TIME + 10_000);
  });

  it('Redis refuses TIME → the clock of this process', async () => {
    const { clock, state, fail } = setup();
    state.wall = 42;

    fail(Object.assign(new Error('NOPERM'), { name: 'ReplyError' }));

    expect([await clock.read(), clock.estimate()]).toEqual([42, 42]);
  });

  it('Redis does not answer → rejects, and estimates by the clock of this process', async () => {
    const { clock, state, fail } = setup();
    state.wall = 42;

    fail(new Error('ECONNREFUSED'));

    await expect(clock.read()).rejects.toThrow('ECONNREFUSED');
    expect(clock.estimate()).toBe(42);
  });
});
