import type { Scenario } from '../scenario.ts';
import { takeSlowly } from './takeSlowly.ts';

const WORKERS = 2;
// What a caller is promised is 5 s; a busy machine is a little late.
const ANSWERED_WITHIN_MS = 7_000;

export const redisKilled: Scenario = {
  ...{ name: 'redis-killed', load: 1, inShort: true },
  play: async (stage) => {
    const { ats, crew, client, makeSignals, redis, scale, last, startApi, concurrency } = stage;
    const { history } = stage;
    takeSlowly(stage, 20, 200);
    // The promise is about what Redis has written down: everysec may still have to.
    await client.config('SET', 'appendfsync', 'always');
    await startApi();
    await crew.hire(WORKERS);
    const rounds = scale(4, 2);
    for (let round = 0; round < rounds; round += 1) {
      const before = history.arrivals.length;
      const offering = stage.meanwhile(ats.insist(makeSignals(400)));
      await stage.until(() => history.arrivals.length > before + 100, 60_000);
      await redis.kill();
      await last(scale(3_000, 1_000));
      await redis.restart();
      await client.config('SET', 'appendfsync', 'always');
      await offering;
    }

    return () => ({ duplicates: rounds * WORKERS * concurrency, attempts: 1 });
  },
};

export const redisFrozen: Scenario = {
  ...{ name: 'redis-frozen', load: 1, inShort: false },
  play: async (stage) => {
    const { ats, crew, makeSignals, redis, last, startApi, concurrency, demand } = stage;
    takeSlowly(stage, 100, 400);
    await startApi();
    await crew.hire(WORKERS);
    await ats.insist(makeSignals(300));

    redis.freeze();
    const offering = stage.meanwhile(ats.offer(makeSignals(100)));
    // Longer than the locks last, and their renewal.
    await last(40_000);
    redis.thaw();
    await offering;
    const longestMs = Math.round(ats.longestAnswerMs());
    demand(longestMs < ANSWERED_WITHIN_MS, `an ATS waited ${longestMs} ms for an answer`);
    await ats.insist(makeSignals(100));
    // Whoever was told "unavailable" offers it again: some of these have landed after all.
    await ats.insist([...ats.unsure.values()]);

    return () => ({ duplicates: WORKERS * concurrency });
  },
};

export const redisHalfOpen: Scenario = {
  ...{ name: 'redis-half-open', load: 1, inShort: false, settleWithinMs: 90_000 },
  play: async (stage) => {
    const { ats, crew, makeSignals, redisRoad, history, last, startApi, concurrency } = stage;
    takeSlowly(stage, 50, 300);
    await startApi();
    await crew.hire(WORKERS);
    await ats.insist(makeSignals(200));

    // Once while there is work under way, and once while all are waiting for some.
    redisRoad.vanish();
    await ats.insist(makeSignals(200));
    await stage.until(() => history.marks().length >= 400, 90_000);
    await last(2_000);
    redisRoad.vanish();
    await ats.insist(makeSignals(100));

    return () => ({ duplicates: 2 * WORKERS * concurrency });
  },
};

export const redisAway: Scenario = {
  ...{ name: 'redis-away', load: 1, inShort: true },
  play: async (stage) => {
    const { ats, crew, makeSignals, redis, scale, last, startApi, concurrency, history } = stage;
    takeSlowly(stage, 20, 200);
    // Longer than BullMQ blocks (5 to 10 s): there were versions that never heard of a job again.
    const awayMs = scale(15_000, 11_000);
    await redis.kill();
    const workers = Array.from({ length: WORKERS }, () => crew.call());
    await startApi();
    await last(awayMs);
    await redis.restart();
    await ats.insist(makeSignals(scale(200, 50)));
    await Promise.all(workers.map(crew.atWork));

    // At rest, and then in the midst of work.
    await stage.until(() => history.marks().length >= ats.accepted.size, 60_000);
    await redis.kill();
    await last(awayMs);
    await redis.restart();
    await ats.insist(makeSignals(scale(300, 100)));
    if (!stage.short) {
      await redis.kill();
      await last(awayMs);
      await redis.restart();
      await ats.insist(makeSignals(50));
    }

    return () => ({ duplicates: 2 * WORKERS * concurrency, attempts: 1 });
  },
};
