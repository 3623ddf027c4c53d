import { createRedisSettlements } from '../../src/queue/redisSettlements.ts';

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
      xautoclaim: async () => ['0-0', [null, ['1-1', ['settlement', JSON.stringify(settlement)]]]],
    };

    const taken = await createRedisSettlements(client as never, '{seek}').take(10);

    expect(taken).toEqual([{ id: '1-1', settlement }]);
    expect(commands).toEqual([]);
  });
});
