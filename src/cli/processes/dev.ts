import { randomBytes } from 'node:crypto';
import { parseApiKey, SCOPES } from '../../config/apiKey.ts';
import { apiPort, type Config, loadConfig } from '../../config/config.ts';
import { createLogger, type Logger } from '../../observability/logger.ts';
import type { Backend } from '../../queue/backend.ts';
import { type FolderLock, lockFolder } from '../../queue/embedded/folderLock.ts';
import { noLaterFailure, runUntilTerminated } from '../../runtime/lifecycle.ts';
import { startSimulator } from '../../simulator/createSimulator.ts';
import { startWorker } from '../../worker/startWorker.ts';
import { printText } from '../io/output.ts';
import { startApi } from './api.ts';
import { startBoard } from './board.ts';
import { startTracing } from './otelSdk.ts';
import { onFreePort } from './probesServer.ts';
import { createService, openRedisBackend, queueOptions, type Service } from './service.ts';

/** `seek-signals dev`: runs the API, a worker, the board and the simulator in one process. */
export const dev = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, [], 'dev');
  const logger = createLogger({ level: config.LOG_LEVEL });
  const { backend, lock } = await openQueue(config, logger);
  const service = createService(backend, logger, config);
  const run = async (): Promise<string> => {
    const tracer = await startTracing(config, service, 'dev');
    const stack = await startDevStack({ ...service, tracer }, config);
    await lock?.update({ apiUrl: stack.apiUrl, apiKey: stack.apiKey });
    printText(banner(stack, config));
    return noLaterFailure();
  };
  return runUntilTerminated({
    ...service,
    termination,
    run,
    timeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  });
};

const openQueue = async (
  config: Config,
  logger: Logger,
): Promise<{ backend: Backend; lock?: FolderLock }> => {
  if (config.REDIS_URL !== undefined) {
    const withRedis = { ...config, REDIS_URL: config.REDIS_URL };
    return { backend: openRedisBackend(withRedis, 'patient', logger) };
  }
  const lock = await lockFolder(config.EMBEDDED_PATH, {});
  return { backend: await openEmbeddedQueue(config, logger, lock), lock };
};

/** Opens the embedded queue in its locked folder. Closing the queue releases the lock. */
export const openEmbeddedQueue = async (
  config: Config,
  logger: Logger,
  lock: FolderLock,
): Promise<Backend> => {
  // The only import of the embedded queue, so that the library and the production commands never load it.
  const { openEmbedded } = await import('../../queue/embedded/openEmbedded.ts');
  const folder = config.EMBEDDED_PATH;
  const queue = await openEmbedded({ folder, logger, ...queueOptions(config) });
  const close = async () => {
    await queue.close();
    await lock.release();
  };
  return { ...queue, close };
};

const banner = (stack: DevStack, config: Config): string => {
  const { apiUrl, apiKey, boardUrl, username, password, simulator } = stack;
  const queue = config.REDIS_URL === undefined ? `embedded, in ${config.EMBEDDED_PATH}` : 'Redis';
  const now = new Date().toISOString();
  const seek = simulator === undefined ? config.SEEK_API_URL : `simulated, ${simulator.url}`;

  return `
  queue   ${queue}
  SEEK    ${seek}
  API     ${apiUrl}   key: ${apiKey}   (OpenAPI: ${apiUrl}/openapi.json)
  board   ${boardUrl}   login: ${username} / ${password}

  Send a first signal:

  curl -s ${apiUrl}/signals \\
    -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' \\
    -d '{"typeCode":"ApplicationComplete","token":"a-seek-token","timestamp":"${now}"}'

  Ctrl-C stops everything and keeps the data.

`;
};

const createSecret = () => randomBytes(12).toString('base64url');

/**
 * Starts the API, a worker and the board on one queue. Generates the API key and the logins that are not configured,
 * and starts the simulator if SEEK's credentials are not configured.
 */
export const startDevStack = async (service: Service, config: Config) => {
  const { logger, closers } = service;
  const configuredKeys = config.API_KEYS ?? [];
  // The commands that call this API need a key in plain text, with every scope.
  const fullKey = configuredKeys.find(
    ({ key, scopes }) => key !== undefined && scopes.length === SCOPES.length,
  );
  const apiKey = fullKey?.key ?? createSecret();
  const generatedKeys = fullKey === undefined ? [parseApiKey(`dev:${apiKey}`)] : [];
  const username = config.BOARD_USERNAME ?? 'dev';
  const password = config.BOARD_PASSWORD ?? createSecret();
  const { simulator, credentials } = await startSimulatorIfNeeded(config, logger);
  if (simulator !== undefined) closers.add('simulator', simulator.close);

  const devConfig = {
    ...config,
    ...credentials,
    API_KEYS: [...configuredKeys, ...generatedKeys.filter((key) => typeof key !== 'string')],
    BOARD_USERNAME: username,
    BOARD_PASSWORD: password,
  };
  await startWorker({ ...service, config: devConfig });
  const board = await onFreePort(
    (port) => startBoard(service, devConfig, port),
    config.BOARD_PORT,
    logger,
  );
  const api = await onFreePort(
    (port) => startApi(service, devConfig, port),
    apiPort(config),
    logger,
  );

  return { apiUrl: api.url, apiKey, boardUrl: board.url, username, password, simulator };
};

type DevStack = Awaited<ReturnType<typeof startDevStack>>;

/** Returns SEEK's credentials if they are configured. Otherwise starts the simulator, and returns credentials for it. */
const startSimulatorIfNeeded = async (config: Config, logger: Logger) => {
  const { SEEK_CLIENT_ID, SEEK_CLIENT_SECRET } = config;
  if (SEEK_CLIENT_ID !== undefined && SEEK_CLIENT_SECRET !== undefined) {
    return { simulator: undefined, credentials: { SEEK_CLIENT_ID, SEEK_CLIENT_SECRET } };
  }
  const clientId = 'dev';
  const clientSecret = createSecret();
  const simulator = await onFreePort(
    (port) => startSimulator({ host: config.SIMULATOR_HOST, port, clientId, clientSecret }),
    config.SIMULATOR_PORT,
    logger,
  );
  const credentials = {
    SEEK_CLIENT_ID: clientId,
    SEEK_CLIENT_SECRET: clientSecret,
    SEEK_API_URL: simulator.graphqlUrl,
    SEEK_AUTH_URL: simulator.authUrl,
    // A proxy would not reach this machine.
    NO_PROXY: '*',
  };
  return { simulator, credentials };
};
