import { Redis } from 'ioredis';
import { createRedisBookkeeping } from '../../../src/queue/redis/bookkeeping.ts';
import { createRedisOutcomeStream } from '../../../src/queue/redis/outcomeStream.ts';
import { startRedis } from '../../support/redisServer.ts';

describe('the outcome stream in a Redis before version 7', () => {
  it('a claimed entry was removed from the stream → the other entries are read', async () => {
    const event = { signalId: 'a', outcome: 'delivered', at: 1 };
    const commands: unknown[][] = [];
    const record =
      (name: string) =>
      async (...args: unknown[]) =>
        void commands.push([name, ...args]);
    const client = {
      xgroup: async () => 'OK',
      xack: record('xack'),
      xdel: record('xdel'),
      xreadgroup: async () => null,
      xautoclaim: async () => ['0-0', [null, ['1-1', ['settlement', JSON.stringify(event)]]]],
    };

    const taken = await createRedisOutcomeStream(client as never, '{seek}').take(10);

    expect(taken).toEqual([{ id: '1-1', event }]);
    expect(commands).toEqual([]);
  });
});

describe('the outcome stream', () => {
  it('returns entries until they are acknowledged, and works again after Redis was emptied', async () => {
    const redis = await startRedis();
    const client = new Redis(redis.url);
    const prefix = '{outcomes}';
    const outcomeStream = createRedisOutcomeStream(client, prefix);
    const report = (signalId: string) =>
      createRedisBookkeeping({ client, prefix }).recordOutcomes([
        { signalId, outcome: 'delivered', report: { at: 1, requestId: 'r' } },
        // Without a report, an outcome does not enter the stream.
        { signalId: 'other', outcome: 'delivered' },
      ]);
    const events = async () => (await outcomeStream.take(10)).map(({ event }) => event);
    const names = async () => (await events()).map(({ signalId }) => signalId);
    await report('a');

    expect(await names()).toEqual(['a']);
    await report('b');
    expect(await events()).toEqual(
      ['a', 'b'].map((signalId) => ({ signalId, outcome: 'delivered', at: 1, requestId: 'r' })),
    );
    const [first] = await outcomeStream.take(10);
    await outcomeStream.acknowledge([first?.id ?? '']);
    expect(await names()).toEqual(['b']);

    await client.flushall();
    await expect(outcomeStream.take(10)).rejects.toThrow('NOGROUP');
    await report('c');
    expect(await names()).toEqual(['c']);
    client.disconnect();
    await redis.stop();
  });
});
