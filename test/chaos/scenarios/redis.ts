import type { Environment } from '../environment.ts';
import type { Scenario } from '../scenario.ts';
import { deliverSlowly } from './deliverSlowly.ts';

const WORKERS = 2;
// The API promises an answer within 5 s. A busy machine may add some time.
const ANSWER_TIMEOUT_MS = 7_000;

/** The promise covers what Redis has written to disk; `everysec` may lose the last second. */
export const syncEveryWrite = ({ client }: Environment) =>
  client.config('SET', 'appendfsync', 'always');

/** A restarted Redis has its original settings again. */
export const restartRedis = async (environment: Environment): Promise<void> => {
  await environment.redis.restart();
  await syncEveryWrite(environment);
};

export const redisKilled: Scenario = {
  name: 'redis-killed',
  load: 1,
  inShortRun: true,
  run: async (environment) => {
    const { producer, workers, buildSignals, redis, history, concurrency } = environment;
    const { scale, pause, startApi, waitUntil, inBackground } = environment;
    deliverSlowly(environment, 20, 200);
    await syncEveryWrite(environment);
    await startApi();
    await workers.start(WORKERS);
    const rounds = scale(4, 2);
    for (let round = 0; round < rounds; round += 1) {
      const before = history.arrivals.length;
      const enqueuing = inBackground(producer.enqueueUntilAccepted(buildSignals(400)));
      await waitUntil(() => history.arrivals.length > before + 100, 60_000);
      await redis.kill();
      await pause(scale(3_000, 1_000));
      await restartRedis(environment);
      await enqueuing;
    }

    return () => ({ duplicates: rounds * WORKERS * concurrency, attempts: 1 });
  },
};

export const redisFrozen: Scenario = {
  name: 'redis-frozen',
  load: 1,
  inShortRun: false,
  run: async (environment) => {
    const { producer, workers, buildSignals, redis, concurrency } = environment;
    const { pause, startApi, verify, inBackground } = environment;
    deliverSlowly(environment, 100, 400);
    await startApi();
    await workers.start(WORKERS);
    await producer.enqueueUntilAccepted(buildSignals(300));

    redis.freeze();
    const enqueuing = inBackground(producer.enqueueOnce(buildSignals(100)));
    // Longer than the locks last, renewal included.
    await pause(40_000);
    redis.thaw();
    await enqueuing;
    const longestMs = Math.round(producer.longestAnswerMs());
    verify(longestMs < ANSWER_TIMEOUT_MS, `the API took ${longestMs} ms to answer a POST`);
    await producer.enqueueUntilAccepted(buildSignals(100));
    // Sent again, as after a 503. Some of these are in the queue already.
    await producer.enqueueUntilAccepted([...producer.uncertain.values()]);

    return () => ({ duplicates: WORKERS * concurrency });
  },
};

export const redisHalfOpen: Scenario = {
  name: 'redis-half-open',
  load: 1,
  inShortRun: false,
  drainTimeoutMs: 90_000,
  run: async (environment) => {
    const { producer, workers, buildSignals, redisProxy, history, concurrency } = environment;
    const { pause, startApi, waitUntil } = environment;
    deliverSlowly(environment, 50, 300);
    await startApi();
    await workers.start(WORKERS);
    await producer.enqueueUntilAccepted(buildSignals(200));

    // Once while requests are in flight, and once while all workers wait for a job.
    redisProxy.vanish();
    await producer.enqueueUntilAccepted(buildSignals(200));
    await waitUntil(() => history.marks().length >= 400, 90_000);
    await pause(2_000);
    redisProxy.vanish();
    await producer.enqueueUntilAccepted(buildSignals(100));

    return () => ({ duplicates: 2 * WORKERS * concurrency });
  },
};

export const redisUnreachable: Scenario = {
  name: 'redis-unreachable',
  load: 1,
  inShortRun: true,
  run: async (environment) => {
    const { producer, workers, buildSignals, redis, history, concurrency } = environment;
    const { short, scale, pause, startApi, waitUntil } = environment;
    deliverSlowly(environment, 20, 200);
    // Longer than BullMQ's blocking read (5 to 10 s): some versions took no job after such an outage.
    const outageMs = scale(15_000, 11_000);
    await redis.kill();
    const spawned = Array.from({ length: WORKERS }, () => workers.spawn());
    await startApi();
    await pause(outageMs);
    await redis.restart();
    await producer.enqueueUntilAccepted(buildSignals(scale(200, 50)));
    await Promise.all(spawned.map(workers.untilStarted));

    // Once while the workers are idle, then (in a full run) while requests are in flight.
    await waitUntil(() => history.marks().length >= producer.accepted.size, 60_000);
    await redis.kill();
    await pause(outageMs);
    await redis.restart();
    await producer.enqueueUntilAccepted(buildSignals(scale(300, 100)));
    if (!short) {
      await redis.kill();
      await pause(outageMs);
      await redis.restart();
      await producer.enqueueUntilAccepted(buildSignals(50));
    }

    return () => ({ duplicates: 2 * WORKERS * concurrency, attempts: 1 });
  },
};
