import { randomBytes } from 'node:crypto';
import { parseApiKey, SCOPES } from '../../config/apiKey.ts';
import { apiPort, type Config, loadConfig } from '../../config/config.ts';
import { createLogger, type Logger } from '../../observability/logger.ts';
import type { Backend } from '../../queue/backend.ts';
import { type FolderLock, lockFolder } from '../../queue/embedded/folderLock.ts';
import { runUntilTerminated } from '../../runtime/lifecycle.ts';
import { startSimulator } from '../../simulator/createSimulator.ts';
import { startWorker } from '../../worker/startWorker.ts';
import { startApi } from './api.ts';
import { startBoard } from './board.ts';
import { startTracing } from './otelSdk.ts';
import { onFreePort } from './probesServer.ts';
import { createService, openRedisBackend, queueOptions, type Service } from './service.ts';

/** `seek-signals dev`: everything in one terminal. */
export const dev = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env);
  const logger = createLogger({ level: config.LOG_LEVEL });
  const { backend, lock } = await openQueue(config, logger);
  const service = createService(backend, logger, config);
  try {
    const tracer = await startTracing(config, service, 'dev');
    const stack = await startDevStack({ ...service, tracer }, config);
    await lock?.update({ apiUrl: stack.apiUrl, apiKey: stack.apiKey });
    process.stdout.write(banner(stack, config));
  } catch (err) {
    await service.closers.closeAll();
    throw err;
  }
  return runUntilTerminated({ ...service, termination, timeoutMs: config.SHUTDOWN_TIMEOUT_MS });
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

/** The embedded queue in its locked folder; closing it lets go of the lock. */
export const openEmbeddedQueue = async (
  config: Config,
  logger: Logger,
  lock: FolderLock,
): Promise<Backend> => {
  // Loaded here and nowhere else: the library and the production commands never see it.
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
  const seek = simulator === undefined ? config.SEEK_API_URL : `simulated, ${simulator.url}`;

  return `
  queue   ${queue}
  SEEK    ${seek}
  API     ${apiUrl}   key: ${apiKey}   (described at ${apiUrl}/openapi.json)
  board   ${boardUrl}   login: ${username} / ${password}

  A signal to try:

  curl -s ${apiUrl}/signals \\
    -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' \\
    -d '{"typeCode":"ApplicationComplete","token":"a-seek-token"}'

  Ctrl-C stops it all and keeps the data.

`;
};

const secret = () => randomBytes(12).toString('base64url');

/** Everything on one queue in one process, with what is missing made up: keys, logins, and SEEK. */
export const startDevStack = async (service: Service, config: Config) => {
  const { logger, closers } = service;
  const given = config.API_KEYS ?? [];
  // The commands that are typed beside it use it for everything.
  const known = given.find(
    ({ key, scopes }) => key !== undefined && scopes.length === SCOPES.length,
  );
  const apiKey = known?.key ?? secret();
  const own = known === undefined ? [parseApiKey(`dev:${apiKey}`)] : [];
  const username = config.BOARD_USERNAME ?? 'dev';
  const password = config.BOARD_PASSWORD ?? secret();
  const { simulator, credentials } = await standInForSeek(config, logger);
  if (simulator !== undefined) closers.add('simulator', simulator.close);

  const full = {
    ...config,
    ...credentials,
    API_KEYS: [...given, ...own.filter((key) => typeof key !== 'string')],
    BOARD_USERNAME: username,
    BOARD_PASSWORD: password,
  };
  await startWorker({ ...service, config: full });
  const board = await onFreePort(
    (port) => startBoard(service, full, port),
    config.BOARD_PORT,
    logger,
  );
  const api = await onFreePort((port) => startApi(service, full, port), apiPort(config), logger);

  return { apiUrl: api.url, apiKey, boardUrl: board.url, username, password, simulator };
};

export type DevStack = Awaited<ReturnType<typeof startDevStack>>;

/** The simulator where no credentials for SEEK are set; otherwise SEEK itself. */
const standInForSeek = async (config: Config, logger: Logger) => {
  const { SEEK_CLIENT_ID, SEEK_CLIENT_SECRET } = config;
  if (SEEK_CLIENT_ID !== undefined && SEEK_CLIENT_SECRET !== undefined) {
    return { simulator: undefined, credentials: { SEEK_CLIENT_ID, SEEK_CLIENT_SECRET } };
  }
  const [clientId, clientSecret] = ['dev', secret()];
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
  };
  return { simulator, credentials };
};
