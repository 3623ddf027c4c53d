import { Redis } from 'ioredis';

import { createRedisBookkeeping } from '../../../src/queue/redis/bookkeeping.ts';
import { createRedisOutcomeStream } from '../../../src/queue/redis/outcomeStream.ts';
import { startRedis } from '../../support/redisServer.ts';

describe('settlements in a Redis before 7', () => {
  it('are read where one that somebody had in hand is gone', async () => {
    const settlement = { signalId: 'a', outcome: 'delivered', at: 1 };
    const commands: unknown[][] = [];
    const note =
      (name: string) =>
      async (...args: unknown[]) =>
        void commands.push([name, ...args]);
    const client = {
      ...{ xgroup: async () => 'OK', xack: note('xack'), xdel: note('xdel') },
      xreadgroup: async () => null,
      xautoclaim: async () => ['0-0', [null, ['1-1', ['settlement', JSON.stringify(settlement)]]]],
    };

    const taken = await createRedisOutcomeStream(client as never, '{seek}').take(10);

    expect(taken).toEqual([{ id: '1-1', settlement }]);
    expect(commands).toEqual([]);
  });
});

describe('settlements on their way to the outbox', () => {
  it('come until they are done, and again after the Redis was emptied', async () => {
    const redis = await startRedis();
    const client = new Redis(redis.url);
    const prefix = '{settlements}';
    const outcomeStream = createRedisOutcomeStream(client, prefix);
    const report = (signalId: string) =>
      createRedisBookkeeping({ client, prefix }).recordOutcomes([
        { signalId, outcome: 'delivered', report: { at: 1, requestId: 'r' } },
        // Nobody has asked for this one.
        { signalId: 'other', outcome: 'delivered' },
      ]);
    const names = async () =>
      (await outcomeStream.take(10)).map(({ settlement }) => settlement.signalId);
    await report('a');

    expect(await names()).toEqual(['a']);
    await report('b');
    const [first, second] = await outcomeStream.take(10);
    expect([first?.settlement, second?.settlement]).toEqual(
      ['a', 'b'].map((signalId) => ({ signalId, outcome: 'delivered', at: 1, requestId: 'r' })),
    );
    await outcomeStream.done([first?.id ?? '']);
    expect(await names()).toEqual(['b']);

    await client.flushall();
    await expect(outcomeStream.take(10)).rejects.toThrow('NOGROUP');
    await report('c');
    expect(await names()).toEqual(['c']);
    client.disconnect();
    await redis.stop();
  });
});
