import type { SignalRecord } from '../../src/schemas/signalRecord.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { buildCommands, type Env } from '../support/commands.ts';
import { startRedis } from '../support/redisServer.ts';
import { startScriptedSeek } from '../support/scriptedSeek.ts';
import { type Accepted, API_KEY, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

export const BOARD = { username: 'operator', password: 'board-password' };

export type Deployments = Awaited<ReturnType<typeof openDeployments>>;
type Find = (signalId: string) => Promise<SignalRecord>;

/** The built commands, and a Redis for all deployments of a file. */
export const openDeployments = async () => {
  const [commands, redis] = await Promise.all([buildCommands(), startRedis()]);
  const tokens: string[] = [];
  const closing: (() => Promise<unknown>)[] = [];
  let count = 0;

  const createToken = (): string => {
    const token = newToken();
    tokens.push(token);
    return token;
  };

  return {
    commands,
    redis,
    /** Called after each test, the last one first. */
    closing,
    /** A seek token that no process may write to its output. */
    createToken,
    buildComplete: () => buildApplicationComplete({ token: createToken() }),

    /** A deployment: a queue of its own on the Redis, a scripted SEEK, and processes on request. */
    setup: async (options: Parameters<typeof startScriptedSeek>[0] = {}) => {
      const seek = await startScriptedSeek(options);
      closing.push(seek.close);
      count += 1;
      const env: Env = {
        ...seek.env,
        REDIS_URL: redis.url,
        QUEUE_PREFIX: `{test-${count}}`,
        API_KEYS: `ats:${API_KEY}`,
        API_PORT: '0',
        METRICS_PORT: '0',
        BOARD_PORT: '0',
        BOARD_USERNAME: BOARD.username,
        BOARD_PASSWORD: BOARD.password,
        RETRY_BASE_MS: '10',
        RETRY_MAX_MS: '100',
        SHUTDOWN_TIMEOUT_MS: '5000',
      };
      const start = (command: string, more: Env = {}) => {
        const started = commands.start([command], { ...env, ...more });
        closing.push(async () => started.isRunning() && started.end('SIGKILL'));
        return started;
      };
      const startWorker = async (more: Env = {}) => {
        const started = start('worker', more);
        await started.waitForOutput(/Worker started/);
        return started;
      };
      const startApi = async (more: Env = {}) => {
        const api = start('api', more);
        const url = await api.waitForOutput(/"url":"([^"]+)"/);
        return { api, url, ...createClient(url) };
      };
      const run = (...args: string[]) => commands.run(args, env);

      return { seek, env, start, startWorker, startApi, run };
    },

    closeAll: async (): Promise<void> => {
      for (const close of closing.splice(0).reverse()) await close();
    },
    expectNoSecretsInOutput: (): void => {
      const output = commands.output();
      const secrets = ['partner-token-', 'scripted-client-secret', BOARD.password];
      for (const secret of [...tokens, ...tokens.map(encodeURIComponent), ...secrets]) {
        expect([secret, output.includes(secret)]).toEqual([secret, false]);
      }
    },
    stop: async (): Promise<void> => {
      await commands.stop();
      await redis.stop();
    },
  };
};

const createClient = (url: string) => {
  const headers = { authorization: `Bearer ${API_KEY}` };
  return {
    send: async (signals: object[]): Promise<Accepted[]> => {
      const body = JSON.stringify({ signals });
      const response = await fetch(`${url}/signals/batch`, { method: 'POST', headers, body });
      expect(response.status).toBe(202);
      return JSON.parse(await response.text()).results;
    },
    find: async (signalId: string): Promise<SignalRecord> =>
      JSON.parse(await (await fetch(`${url}/signals/${signalId}`, { headers })).text()),
  };
};

export const waitUntilDelivered = async (find: Find, ids: string[]): Promise<void> => {
  for (const id of ids) await waitFor(async () => (await find(id)).state === 'delivered');
};
