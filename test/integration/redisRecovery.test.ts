import { Redis } from 'ioredis';
import { queueOptions } from '../../src/cli/processes/service.ts';
import { createProducer } from '../../src/index.ts';
import type { RedisAddress } from '../../src/queue/redis/connection.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import { SLACK_MS } from '../support/inTime.ts';
import type { Platform } from '../support/platforms.ts';
import { startMaster, startReplicaOf } from '../support/redisReplica.ts';
import { startRedis } from '../support/redisServer.ts';
import { startSentinel } from '../support/sentinel.ts';
import { newToken, startDispatcher } from '../support/startDispatcher.ts';
import { startTcpProxy } from '../support/tcpProxy.ts';
import { waitFor } from '../support/waitFor.ts';

const { closing, opened } = closeAfterEach();

/** API, worker and library, all by way of this address. */
const setup = async (address: RedisAddress, workers = 1) => {
  const platform: Platform = {
    open: (config, profile, logger) =>
      openRedis({ ...queueOptions(config), ...address, profile, logger }),
    ...{ clear: async () => {}, stop: async () => {} },
  };
  const dispatcher = await opened(startDispatcher(platform, { workers }));
  const producer = createProducer({ redisUrl: address.url, sentinels: address.sentinels ?? [] });
  closing.push(producer.close);
  const enqueue = () =>
    producer.enqueue({ typeCode: 'ApplicationComplete', token: newToken() }).catch(() => undefined);
  const arrives = async () => {
    const accepted = await waitFor(enqueue);
    return dispatcher.until(accepted.signalId, 'delivered');
  };

  return { ...dispatcher, producer, enqueue, arrives };
};

const setupReplicated = async () => {
  const master = await opened(startMaster());
  const replica = await opened(startReplicaOf(master));
  const [ofMaster, ofReplica] = [new Redis(master.url), new Redis(replica.url)];
  for (const client of [ofMaster, ofReplica]) {
    client.on('error', () => {});
    closing.push(async () => client.disconnect());
  }
  return { master, replica, ofMaster, ofReplica };
};

const SLACK_S = SLACK_MS / 1_000;

const secondsOf = async (work: Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work;
  return (performance.now() - began) / 1000;
};

describe('connections whose packets vanish', () => {
  it('are given up for new ones: by producers in seconds, by workers in twenty', async () => {
    const redis = await opened(startRedis());
    const proxy = await opened(startTcpProxy(redis.port));
    const { enqueue, arrives, find } = await setup({ url: `redis://127.0.0.1:${proxy.port}` });
    await arrives();

    proxy.vanish();
    let accepted: Awaited<ReturnType<typeof enqueue>>;
    const taken = await secondsOf(
      waitFor(async () => {
        accepted = await enqueue();
        return accepted;
      }),
    );
    const delivered = await secondsOf(
      waitFor(
        async () =>
          (await find(accepted?.signalId ?? '').catch(() => undefined))?.state === 'delivered',
        {
          timeoutMs: 35_000,
        },
      ),
    );

    expect(taken).toBeLessThan(5 + SLACK_S);
    expect(taken + delivered).toBeLessThan(20 + SLACK_S);
  }, 60_000);

  it('are noticed as well where new ones are swallowed for a while', async () => {
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

describe('a master that became a replica', () => {
  it('is left by producers and workers, though it closes no connection', async () => {
    const { master, replica, ofMaster, ofReplica } = await setupReplicated();
    const proxy = await opened(startTcpProxy(master.port));
    const { arrives } = await setup({ url: `redis://127.0.0.1:${proxy.port}` });
    await arrives();

    await ofReplica.replicaof('NO', 'ONE');
    await ofMaster.replicaof('127.0.0.1', replica.port);
    proxy.retarget(replica.port);

    expect(await secondsOf(arrives())).toBeLessThan(10 + SLACK_S);
  });

  it('is followed to the new one by way of Sentinel', async () => {
    const { master, replica, ofMaster, ofReplica } = await setupReplicated();
    for (const client of [ofMaster, ofReplica]) {
      await client.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all');
    }
    const sentinel = await opened(startSentinel('seek-master', master.port));
    const { host, port } = sentinel;
    const url = 'redis://app:pw@seek-master/1';
    const { arrives } = await setup({ url, sentinels: [{ host, port }] });
    await arrives();

    await master.kill();
    await waitFor(async () => (await sentinel.masterPort()) === replica.port);

    expect(await secondsOf(arrives())).toBeLessThan(10 + SLACK_S);
    expect(await ofReplica.client('LIST')).toMatch(/ db=1 .* user=app /);
  });

  it('is found as soon as a Sentinel answers, and callers are told in time until then', async () => {
    const { master } = await setupReplicated();
    const sentinel = await opened(startSentinel('seek-master', master.port));
    const proxy = await opened(startTcpProxy(sentinel.port));
    proxy.vanish({ newToo: true });
    const sentinels = [{ host: '127.0.0.1', port: proxy.port }];
    const { enqueue } = await setup({ url: 'redis://seek-master', sentinels }, 0);

    for (let turn = 0; turn < 3; turn += 1)
      expect(await secondsOf(enqueue())).toBeLessThan(5 + SLACK_S);
    proxy.heal();

    expect(await secondsOf(waitFor(enqueue))).toBeLessThan(5 + SLACK_S);
  });
});
