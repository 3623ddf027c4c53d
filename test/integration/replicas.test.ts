import { Redis } from 'ioredis';
import { queueOptions } from '../../src/cli/processes/service.ts';
import { createProducer, type EnqueueResult, QueueUnavailableError } from '../../src/index.ts';
import { openRedis } from '../../src/queue/redis/openRedis.ts';
import { buildDeadLetter } from '../support/buildSignal.ts';
import { closeAfterEach } from '../support/closeAfterEach.ts';
import { SLACK_MS } from '../support/inTime.ts';
import type { Platform } from '../support/platforms.ts';
import { startMaster, startReplicaOf } from '../support/redisReplica.ts';
import { API_KEY, newToken, startDispatcher } from '../support/startDispatcher.ts';
import { startTcpProxy } from '../support/tcpProxy.ts';
import { waitFor } from '../support/waitFor.ts';

const { closing, opened } = closeAfterEach();

/** A master with one replica, and producers that wait for `waitReplicas`. */
const setup = async (waitReplicas: number) => {
  const master = await opened(startMaster());
  const replica = await opened(startReplicaOf(master));
  const platform: Platform = {
    open: (config, profile, logger) =>
      openRedis({ ...queueOptions(config), url: master.url, waitReplicas, profile, logger }),
    clear: async () => {},
    stop: async () => {},
  };
  const dispatcher = await opened(startDispatcher(platform, { workers: 0 }));
  const producer = createProducer({ redisUrl: master.url, waitReplicas });
  closing.push(producer.close);
  const signal = () => ({ typeCode: 'ApplicationComplete' as const, token: newToken() });

  return { ...dispatcher, master, replica, producer, signal };
};

/** On a busy machine, a thawed replica may need longer to catch up than one enqueue waits. */
const onceCaughtUp = (enqueue: () => Promise<EnqueueResult>) =>
  waitFor(() =>
    enqueue().catch((err: unknown) => {
      if (err instanceof QueueUnavailableError) return undefined;
      throw err;
    }),
  );

describe('WAIT_REPLICAS', () => {
  it('1, the replica is connected → the replica has every accepted signal', async () => {
    const { replica, producer, signal } = await setup(1);

    const accepted = await Promise.all(
      Array.from({ length: 50 }, () => producer.enqueue(signal())),
    );

    const client = new Redis(replica.url);
    closing.push(async () => client.disconnect());
    for (const { signalId } of accepted) {
      expect(await client.exists(`{seek}:signals:${signalId}`)).toBe(1);
    }
  });

  it('1, the replica is frozen → rejects in time, duplicates too; once it is back, only the accepted signal is a duplicate', async () => {
    const { replica, producer, signal, call } = await setup(1);
    const [known, fresh] = [signal(), signal()];
    const first = await producer.enqueue(known);
    replica.freeze();

    const began = performance.now();
    for (const one of [known, fresh]) {
      await expect(producer.enqueue(one)).rejects.toMatchObject({
        name: QueueUnavailableError.name,
        cause: { message: '0 of 1 replicas (WAIT_REPLICAS) have the write' },
      });
    }
    expect((await call('POST', '/signals', fresh)).status).toBe(503);
    expect(performance.now() - began).toBeLessThan(3 * 2_000 + SLACK_MS);
    replica.thaw();

    expect(await onceCaughtUp(() => producer.enqueue(known))).toMatchObject({
      ...first,
      duplicate: true,
    });
    // It was taken back when the replica did not get it.
    expect(await onceCaughtUp(() => producer.enqueue(fresh))).toMatchObject({
      duplicate: false,
      state: 'waiting',
    });
  });

  it('1, the replica is frozen → an import of a dead letter is not confirmed', async () => {
    const { replica, url } = await setup(1);
    const imported = async () => {
      const answer = await fetch(`${url}/dead-letters/import`, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}` },
        body: JSON.stringify(buildDeadLetter()),
      });
      return { status: answer.status, body: await answer.json() };
    };
    replica.freeze();

    expect(await imported()).toMatchObject({ status: 503 });
    // The dead letter exists now, but the replica still does not have it.
    expect(await imported()).toMatchObject({ status: 503 });
    replica.thaw();

    const answer = await waitFor(async () => {
      const again = await imported();
      return again.status === 503 ? undefined : again;
    });
    expect(answer).toEqual({ status: 200, body: { imported: 0, skipped: 1, invalid: [] } });
  });

  it('2, one replica → rejects', async () => {
    const { producer, signal } = await setup(2);

    await expect(producer.enqueue(signal())).rejects.toThrow(QueueUnavailableError);
  });

  it('0, the replica is frozen → accepts', async () => {
    const { replica, producer, signal } = await setup(0);
    replica.freeze();

    expect(await producer.enqueue(signal())).toMatchObject({ duplicate: false });
  });

  it('1, the fence reaches another Redis than the write → rejects', async () => {
    const { master, signal } = await setup(1);
    const other = await opened(startMaster());
    await opened(startReplicaOf(other));
    const proxy = await opened(startTcpProxy(master.port));
    const redisUrl = `redis://127.0.0.1:${proxy.port}`;
    const writing = createProducer({ redisUrl, waitReplicas: 1 });
    closing.push(writing.close);
    // The connection for writes exists. The one for the fence will lead to the other Redis.
    await waitFor(() => proxy.connections() === 1);
    proxy.retarget(other.port);

    await expect(writing.enqueue(signal())).rejects.toMatchObject({
      cause: { message: 'Redis is changing its master' },
    });
  });
});
