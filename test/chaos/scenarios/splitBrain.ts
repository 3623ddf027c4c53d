import { Redis } from 'ioredis';

import { whyNoNetworks } from '../../support/networks.ts';
import { type RedisGroup, startRedisGroup } from '../../support/redisGroup.ts';
import type { Environment } from '../environment.ts';
import type { Scenario } from '../scenario.ts';
import type { TestSignal } from '../signals.ts';
import { deliverSlowly } from './deliverSlowly.ts';

const WORKERS = 2;
const SENDERS = 2;
const BATCH = 20;
const DOWN_AFTER_MS = 2_000;
const FAILOVER_TIMEOUT_MS = 30_000;
const REJOIN_TIMEOUT_MS = 60_000;
// Sentinels ping the master every second. The dispatcher asks them after each write, and takes a ping
// without an answer for half a second as a doubt. A busy machine may add some time.
const DOUBT_AFTER_MS = 2_500;

const startGroup = async ({ useRedis, onClose }: Environment): Promise<RedisGroup> => {
  const group = await startRedisGroup(DOWN_AFTER_MS);
  onClose(group.stop);
  const client = new Redis(group.url, {
    // Those that know of the failover.
    sentinels: group.endpoints.slice(1),
    name: new URL(group.url).hostname,
    retryStrategy: () => 200,
  });
  client.on('error', () => {});
  onClose(async () => client.disconnect());
  useRedis({
    client,
    env: {
      REDIS_URL: group.url,
      REDIS_SENTINELS: group.endpoints.map(({ host, port }) => `${host}:${port}`).join(','),
    },
  });
  return group;
};

/** Sends batches until `stop`, each until it is accepted, as callers are asked to do after a 503. */
const startSending = ({ producer, buildSignals, pause, inBackground }: Environment) => {
  const acceptedAt = new Map<TestSignal, number>();
  let stopping = false;
  const send = async (): Promise<void> => {
    while (!stopping) {
      const batch = buildSignals(BATCH);
      await producer.enqueueUntilAccepted(batch);
      for (const signal of batch) acceptedAt.set(signal, Date.now());
      await pause(100);
    }
  };
  const sending = inBackground(Promise.all(Array.from({ length: SENDERS }, send)));
  return {
    acceptedAt,
    stop: async (): Promise<void> => {
      stopping = true;
      await sending;
    },
  };
};

/**
 * The master is cut off from its replica and from most Sentinels. Producers and workers still reach all
 * of them, so that for some seconds two servers accept writes.
 */
const splitBrain = (waitReplicas: number): Scenario => ({
  name: waitReplicas === 0 ? 'split-brain' : 'split-brain-replicated',
  load: 1,
  inShortRun: true,
  env: { WAIT_REPLICAS: String(waitReplicas) },
  whyUnavailable: whyNoNetworks,
  run: async (environment) => {
    const { producer, workers, concurrency, history } = environment;
    const { pause, startApi, scale, verify } = environment;
    const group = await startGroup(environment);
    deliverSlowly(environment, 20, 200);
    await startApi();
    await workers.start(WORKERS);
    const sending = startSending(environment);
    await pause(scale(5_000, 2_000));

    const cutAt = Date.now();
    await group.cut();
    await group.untilFailedOver(FAILOVER_TIMEOUT_MS);
    const failedOverAt = Date.now();
    await pause(scale(20_000, 3_000));
    await group.heal();
    await group.untilRejoined(REJOIN_TIMEOUT_MS);
    await sending.stop();

    const acceptedBetween = (from: number, to: number) =>
      [...sending.acceptedAt].filter(([, at]) => at > from && at < to).map(([signal]) => signal);
    if (waitReplicas === 0) {
      const resumed = acceptedBetween(failedOverAt, failedOverAt + 8_000).length;
      verify(resumed > 0, 'no signal was accepted by the new master while the networks were cut');
      // Nothing copies these to the replica, and the Sentinels do not miss the master yet.
      for (const signal of acceptedBetween(cutAt - 500, cutAt + DOUBT_AFTER_MS)) {
        producer.accepted.delete(signal.signalId);
        producer.uncertain.set(signal.signalId, signal);
      }
    }
    return () => {
      // The new master does not know of these deliveries, and sends the signals again. With replicas, no
      // worker sends what the former master hands out once there is doubt.
      const until = waitReplicas === 0 ? failedOverAt + 3_000 : cutAt + DOUBT_AFTER_MS;
      const unrecorded = history
        .since(cutAt - 500)
        .filter(({ at }) => at < until)
        .reduce((sum, { marks }) => sum + marks.length, 0);
      return { duplicates: unrecorded + WORKERS * concurrency };
    };
  },
});

export const splitBrainUnreplicated = splitBrain(0);
export const splitBrainReplicated = splitBrain(1);
