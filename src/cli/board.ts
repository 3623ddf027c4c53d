import { Hono } from 'hono';

import { createBoard } from '../board/createBoard.ts';
import { type Config, loadConfig } from '../config.ts';
import { runUntilTerminated } from '../lifecycle.ts';
import { DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import { serve } from '../serve.ts';
import { openService, type Service } from './service.ts';

/** `seek-signals board`: Bull Board over both queues. */
export const board = async (env: NodeJS.ProcessEnv): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'BOARD_USERNAME', 'BOARD_PASSWORD']);
  const service = openService(config, 'patient');
  const { url } = await startBoard(service, config, config.BOARD_PORT);
  service.logger.info({ url }, 'Board listening');
  return runUntilTerminated({ ...service, timeoutMs: config.SHUTDOWN_TIMEOUT_MS });
};

/** Builds the board on a service, and serves it. Waits for the queue. */
export const startBoard = async (
  { backend, logger, closers, probes }: Service,
  config: Config<'BOARD_USERNAME' | 'BOARD_PASSWORD'>,
  port: number,
) => {
  const app = new Hono();
  app.route('/', probes);
  app.route(
    '/',
    createBoard({
      signals: await backend.bullQueue(SIGNALS),
      deadLetters: await backend.bullQueue(DEAD_LETTERS),
      username: config.BOARD_USERNAME,
      password: config.BOARD_PASSWORD,
      readOnly: config.BOARD_READ_ONLY,
      log: (fields, message) => logger.info(fields, message),
    }),
  );
  const server = await serve(app, { host: config.BOARD_HOST, port });
  closers.add('board', server.close);
  return server;
};
