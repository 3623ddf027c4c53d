import { loadConfig } from '../../config/config.ts';
import { createLogger } from '../../observability/logger.ts';
import { createClosers, noLaterFailure, runUntilTerminated } from '../../runtime/lifecycle.ts';
import { startSimulator } from '../../simulator/createSimulator.ts';
import { onPort } from './probesServer.ts';

/** `seek-signals simulator`: a stand-in for SEEK. */
export const simulator = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, ['SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET'], 'simulator');
  const logger = createLogger({ level: config.LOG_LEVEL });
  const closers = createClosers(logger);
  const start = (port: number) =>
    startSimulator({
      host: config.SIMULATOR_HOST,
      port,
      clientId: config.SEEK_CLIENT_ID,
      clientSecret: config.SEEK_CLIENT_SECRET,
      log: (fields, message) => logger.info(fields, message),
    });
  const run = async (): Promise<string> => {
    const { url, graphqlUrl, authUrl, close } = await onPort(
      start,
      config.SIMULATOR_PORT,
      'SIMULATOR_PORT',
    );
    closers.add('simulator', close);
    logger.info({ url, SEEK_API_URL: graphqlUrl, SEEK_AUTH_URL: authUrl }, 'Simulator listening');
    return noLaterFailure();
  };
  return runUntilTerminated({
    closers,
    logger,
    termination,
    run,
    timeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  });
};
