import { type Config, loadConfig } from '../config.ts';
import { runUntilTerminated } from '../lifecycle.ts';
import { createLogger, type Logger } from '../logging.ts';
import type { Backend } from '../queue/backend.ts';
import { type FolderLock, lockFolder } from '../queue/embedded/folderLock.ts';
import { startTracing } from '../startTracing.ts';
import { type DevStack, startDevStack } from './devStack.ts';
import { createService, openRedisBackend, queueOptions } from './service.ts';

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
  const { openEmbedded } = await import('../queue/embedded/openEmbedded.ts');
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
