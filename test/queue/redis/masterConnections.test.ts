import { Redis } from 'ioredis';
import {
  createMasterConnections,
  type MasterConnections,
} from '../../../src/queue/redis/masterConnections.ts';
import type { SentinelViews } from '../../../src/queue/redis/sentinels.ts';
import { type RedisServer, startRedis } from '../../support/redisServer.ts';

let redis: RedisServer;
let connections: MasterConnections;
const clients: Redis[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
  connections.close();
});
afterAll(() => redis.stop());

const setup = (maxQuestions = 2) => {
  const clock = { now: 0 };
  const master = { host: '127.0.0.1', port: Number(new URL(redis.url).port) };
  const view = { master, epoch: 1, reached: true, failingOver: false };
  const state = { views: [view] as SentinelViews, questions: 0 };
  connections = createMasterConnections({
    ask: async () => {
      state.questions += 1;
      return state.views;
    },
    maxQuestions,
    tls: false,
    now: () => clock.now,
  });
  const connect = () => {
    const client = new Redis({ Connector: connections.Connector, lazyConnect: true });
    client.on('error', () => {});
    clients.push(client);
    return client;
  };
  return { clock, state, view, connect };
};

describe('connections to the master that Sentinels name', () => {
  it('closed after no Sentinel named the master → a later connect asks no more', async () => {
    const { state, connect } = setup(1);
    state.views = [undefined];
    const client = connect();
    await expect(client.connect()).rejects.toThrow();
    connections.close();
    const { questions } = state;

    await expect(client.connect()).rejects.toThrow('Connection is closed');
    expect(state.questions).toBe(questions);
  });

  it('a doubt lasts → holds jobs for 40 seconds altogether, not each', async () => {
    const { clock, state, view, connect } = setup();
    const client = connect();
    await client.connect();
    const watch = connections.watch(() => client.stream);
    state.views = [view, { ...view, reached: false }, { ...view, reached: false }];
    const first = watch.untilSettled(undefined);
    await client.ping();
    clock.now = 40_001;

    expect(await first).toBe(true);
    const { questions } = state;
    expect(await watch.untilSettled(undefined)).toBe(false);
    expect(state.questions).toBe(questions + 1);
  });

  it('another doubt after a calm → holds jobs again', async () => {
    const { clock, state, view, connect } = setup();
    const client = connect();
    await client.connect();
    const watch = connections.watch(() => client.stream);
    const doubtful = [view, { ...view, reached: false }, { ...view, reached: false }];
    state.views = doubtful;
    const first = watch.untilSettled(undefined);
    await client.ping();
    clock.now = 40_001;
    await first;
    state.views = [view];
    await watch.untilSettled(undefined);
    state.views = doubtful;

    let isSettled = false;
    const second = watch.untilSettled(undefined).then(() => {
      isSettled = true;
    });
    await client.ping();
    expect(isSettled).toBe(false);
    state.views = [view];
    await second;
  });
});
