import { buildCommands, type Commands, type Env } from '../support/commands.ts';
import { freePort, startRedis } from '../support/redisServer.ts';
import { API_KEY } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const EVICTING = ['--maxmemory-policy', 'allkeys-lru'];
const STARTED = { worker: /Worker started/, api: /API listening/ };
type Command = keyof typeof STARTED;
const COMMANDS: Command[] = ['worker', 'api'];

let commands: Commands;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  commands = await buildCommands();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => commands.stop());

const startRedisWith = async (args: string[], port?: number) => {
  const redis = await startRedis(port, args);
  closing.push(redis.stop);
  return redis;
};

const start = (command: Command, redisUrl: string, more: Env = {}) => {
  const started = commands.start([command], {
    REDIS_URL: redisUrl,
    API_KEYS: API_KEY,
    API_PORT: '0',
    METRICS_PORT: '0',
    SEEK_CLIENT_ID: 'id',
    SEEK_CLIENT_SECRET: 'secret',
    SHUTDOWN_TIMEOUT_MS: '5000',
    ...more,
  });
  closing.push(async () => started.isRunning() && started.end('SIGKILL'));
  const lines = (level: string): { msg: string; reason?: string }[] =>
    started.written.stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
      .filter((line) => line.level === level);
  return { ...started, lines };
};

const REMEDY = /allkeys-lru.*maxmemory-policy noeviction.*ALLOW_UNSAFE_REDIS/;

describe.each(COMMANDS)('%s', (command) => {
  it('at start, Redis may evict signals → exit code 2, with what to do', async () => {
    const redis = await startRedisWith(EVICTING);

    const { exited, written } = start(command, redis.url);

    expect(await exited).toBe(2);
    expect(written.stderr).toMatch(REMEDY);
    expect(written.stdout).not.toMatch(STARTED[command]);
  });

  it('at start, Redis may evict signals, with ALLOW_UNSAFE_REDIS → starts, and logs an error', async () => {
    const redis = await startRedisWith(EVICTING);

    const started = start(command, redis.url, { ALLOW_UNSAFE_REDIS: 'true' });
    await started.waitForOutput(STARTED[command]);

    expect(started.lines('error')).toMatchObject([
      { reason: expect.stringMatching(/allkeys-lru/) },
    ]);
    expect(await started.end()).toMatchObject({ code: 0 });
  });

  it('started without Redis, then reaches one that may evict → ends with exit code 2', async () => {
    const port = await freePort();
    const started = start(command, `redis://127.0.0.1:${port}`);
    await started.waitForOutput(STARTED[command]);

    await startRedisWith(EVICTING, port);

    expect(await started.exited).toBe(2);
    expect(started.lines('fatal')).toMatchObject([{ reason: expect.stringMatching(REMEDY) }]);
  });

  it('a later Redis may evict signals → keeps running, and logs an error', async () => {
    const port = await freePort();
    const safe = await startRedisWith([], port);
    const started = start(command, safe.url);
    await started.waitForOutput(STARTED[command]);

    await safe.kill();
    await waitFor(() => /not reachable/.test(started.written.stdout));
    await startRedisWith(EVICTING, port);
    await started.waitForOutput(/Redis may evict signals/);

    expect(started.isRunning()).toBe(true);
    expect(await started.end()).toMatchObject({ code: 0 });
  });

  it('Redis without an append-only file → one warning', async () => {
    const redis = await startRedisWith(['--appendonly', 'no']);

    const started = start(command, redis.url);
    await started.waitForOutput(STARTED[command]);

    expect(started.lines('warn')).toMatchObject([
      { reason: expect.stringMatching(/^off: .*appendonly yes/) },
    ]);
  });

  it('a safe Redis → no warning and no error', async () => {
    const redis = await startRedisWith([]);

    const started = start(command, redis.url);
    await started.waitForOutput(STARTED[command]);

    for (const level of ['warn', 'error', 'fatal']) expect(started.lines(level)).toEqual([]);
  });
});
