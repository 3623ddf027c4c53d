import { Redis } from 'ioredis';
import { queueOptions } from '../../src/cli/processes/service.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createProducer } from '../../src/index.ts';
import type { RedisAddress } from '../../src/queue/redis/connection.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';
import { captureLogs } from '../support/captureLogs.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import { SLACK_MS } from '../support/inTime.ts';
import type { Platform } from '../support/platforms.ts';
import { startMaster, startReplicaOf } from '../support/redisReplica.ts';
import { freePort, startRedis } from '../support/redisServer.ts';
import { startSentinel } from '../support/sentinel.ts';
import { newToken, startDispatcher } from '../support/startDispatcher.ts';
import { startTcpProxy } from '../support/tcpProxy.ts';
import { waitFor } from '../support/waitFor.ts';

const { closing, opened } = closeAfterEach();

/** Starts an API, workers and a producer that all use this address. */
const setup = async (address: RedisAddress, workers = 1) => {
  const platform: Platform = {
    open: (config, profile, logger) =>
      openRedis({ ...queueOptions(config), ...address, profile, logger }),
    clear: async () => {},
    stop: async () => {},
  };
  const dispatcher = await opened(startDispatcher(platform, { workers }));
  const producer = createProducer({ redisUrl: address.url, sentinels: address.sentinels ?? [] });
  closing.push(producer.close);
  const enqueue = () =>
    producer.enqueue({ typeCode: 'ApplicationComplete', token: newToken() }).catch(() => undefined);
  const deliverOne = async () => {
    const accepted = await waitFor(enqueue);
    return dispatcher.until(accepted.signalId, 'delivered');
  };

  return { ...dispatcher, producer, enqueue, deliverOne };
};

const setupReplicated = async () => {
  const master = await opened(startMaster());
  const replica = await opened(startReplicaOf(master));
  const masterClient = new Redis(master.url);
  const replicaClient = new Redis(replica.url);
  for (const client of [masterClient, replicaClient]) {
    client.on('error', () => {});
    closing.push(async () => client.disconnect());
  }
  return { master, replica, masterClient, replicaClient };
};

const SLACK_S = SLACK_MS / 1_000;

const secondsOf = async (work: Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work;
  return (performance.now() - began) / 1000;
};

describe('half-open connections to Redis', () => {
  it('are replaced by producers within 5 s and by workers within 20 s', async () => {
    const redis = await opened(startRedis());
    const proxy = await opened(startTcpProxy(redis.port));
    const { enqueue, deliverOne, find } = await setup({ url: `redis://127.0.0.1:${proxy.port}` });
    await deliverOne();

    proxy.vanish();
    let accepted: Awaited<ReturnType<typeof enqueue>>;
    const enqueued = await secondsOf(
      waitFor(async () => {
        accepted = await enqueue();
        return accepted;
      }),
    );
    const delivered = await secondsOf(
      waitFor(
        async () =>
          (await find(accepted?.signalId ?? '').catch(() => undefined))?.state === 'delivered',
        { timeoutMs: 35_000 },
      ),
    );

    expect(enqueued).toBeLessThan(5 + SLACK_S);
    expect(enqueued + delivered).toBeLessThan(20 + SLACK_S);
  }, 60_000);

  it('are replaced when new connections are half-open, too, for a while', async () => {
    const redis = await opened(startRedis());
    const proxy = await opened(startTcpProxy(redis.port));
    const { enqueue } = await setup({ url: `redis://127.0.0.1:${proxy.port}` }, 0);
    await waitFor(enqueue);

    proxy.vanish({ newToo: true });
    expect(await secondsOf(enqueue())).toBeLessThan(5 + SLACK_S);
    expect(await enqueue()).toBeUndefined();
    proxy.heal();

    expect(await secondsOf(waitFor(enqueue))).toBeLessThan(5 + SLACK_S);
  });
});

describe('a failover of the Redis master', () => {
  it('makes producers and workers leave the old master, even if it closes no connection', async () => {
    const { master, replica, masterClient, replicaClient } = await setupReplicated();
    const proxy = await opened(startTcpProxy(master.port));
    const { deliverOne } = await setup({ url: `redis://127.0.0.1:${proxy.port}` });
    await deliverOne();

    await replicaClient.replicaof('NO', 'ONE');
    await masterClient.replicaof('127.0.0.1', replica.port);
    proxy.retarget(replica.port);

    expect(await secondsOf(deliverOne())).toBeLessThan(10 + SLACK_S);
  });

  it('makes producers and workers use the master that Sentinel names', async () => {
    const { master, replica, masterClient, replicaClient } = await setupReplicated();
    for (const client of [masterClient, replicaClient]) {
      await client.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all');
    }
    const sentinel = await opened(startSentinel('seek-master', master.port));
    const { host, port } = sentinel;
    const url = 'redis://app:pw@seek-master/1';
    const { deliverOne } = await setup({ url, sentinels: [{ host, port }] });
    await deliverOne();

    await master.kill();
    await waitFor(async () => (await sentinel.masterPort()) === replica.port);

    expect(await secondsOf(deliverOne())).toBeLessThan(10 + SLACK_S);
    expect(await replicaClient.client('LIST')).toMatch(/ db=1 .* user=app /);
  });
});

describe('check behind Sentinels', () => {
  it('names the Sentinels that answer, and warns until the master needs a replica to write', async () => {
    const { master, masterClient } = await setupReplicated();
    const { host, port } = await opened(startSentinel('seek-master', master.port));
    const backend = openRedis({
      ...queueOptions(loadConfig({})),
      url: 'redis://seek-master',
      sentinels: [
        { host, port },
        { host, port: await freePort() },
      ],
      profile: 'fail-fast',
      logger: captureLogs().logger,
    });
    closing.push(backend.close);
    const levels = async () =>
      Object.fromEntries((await backend.inspect()).map(({ subject, level }) => [subject, level]));

    expect(await levels()).toMatchObject({
      Sentinels: 'warning',
      'min-replicas-to-write': 'warning',
    });
    await masterClient.config('SET', 'min-replicas-to-write', '1');
    expect(await levels()).toMatchObject({ 'min-replicas-to-write': 'ok' });
  });
});

describe('a failover by an operator', () => {
  // What was accepted just before it may not have reached the replica: that is what WAIT_REPLICAS is for.
  it('signals are enqueued while it runs → the new master has each that was accepted', async () => {
    const { master, replicaClient } = await setupReplicated();
    const sentinel = await opened(startSentinel('seek-master', master.port));
    const { host, port } = sentinel;
    const { enqueue } = await setup({ url: 'redis://seek-master', sentinels: [{ host, port }] }, 0);
    const accepted = { before: 0, since: new Set<string>() };
    let failingOver = false;
    let ended = false;
    const sendOne = async (): Promise<void> => {
      const hasBegun = failingOver;
      const { signalId } = (await enqueue()) ?? {};
      if (signalId === undefined) return;
      if (hasBegun) accepted.since.add(signalId);
      else accepted.before += 1;
    };
    const sending = Promise.all(
      Array.from({ length: 5 }, async () => {
        while (!ended) await sendOne();
      }),
    );
    await waitFor(() => accepted.before > 100);

    await sentinel.failOver();
    failingOver = true;
    await waitFor(async () => (await sentinel.masterPort()) !== master.port);
    const { size } = accepted.since;
    await waitFor(() => accepted.since.size > size + 100, { timeoutMs: 20_000 });
    ended = true;
    await sending;

    const pipeline = replicaClient.pipeline();
    for (const id of accepted.since) pipeline.exists(`{seek}:signals:${id}`);
    const answers = (await pipeline.exec()) ?? [];
    expect(answers.filter(([, exists]) => exists !== 1)).toEqual([]);
  }, 60_000);
});

describe('a Sentinel that does not answer', () => {
  it('makes callers get an error in time, and a connection as soon as it answers', async () => {
    const { master } = await setupReplicated();
    const sentinel = await opened(startSentinel('seek-master', master.port));
    const proxy = await opened(startTcpProxy(sentinel.port));
    proxy.vanish({ newToo: true });
    const sentinels = [{ host: '127.0.0.1', port: proxy.port }];
    const { enqueue } = await setup({ url: 'redis://seek-master', sentinels }, 0);

    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect(await secondsOf(enqueue())).toBeLessThan(5 + SLACK_S);
    }
    proxy.heal();

    expect(await secondsOf(waitFor(enqueue))).toBeLessThan(5 + SLACK_S);
  });
});
