import { randomBytes } from 'node:crypto';

import { parseApiKey, SCOPES } from '../apiKey.ts';
import { apiPort, type Config } from '../config.ts';
import type { Logger } from '../logging.ts';
import { startSimulator } from '../simulator/startSimulator.ts';
import { startWorker } from '../worker/startWorker.ts';
import { startApi } from './api.ts';
import { startBoard } from './board.ts';
import { onFreePort } from './ports.ts';
import type { Service } from './service.ts';

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
