import { Hono } from 'hono';

import { createBoard } from '../board/createBoard.ts';
import { type Config, loadConfig, patienceOf } from '../config.ts';
import { queueIsSilent, withDeadline } from '../deadline.ts';
import { runUntilTerminated } from '../lifecycle.ts';
import { DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import { serve } from '../serve.ts';
import { openService, type Service } from './service.ts';

const ANSWER_WITHIN_MS = 4_000;

/** `seek-signals board`: Bull Board over both queues. */
export const board = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'BOARD_USERNAME', 'BOARD_PASSWORD']);
  const service = openService(config, 'fail-fast');
  const { url } = await startBoard(service, config, config.BOARD_PORT);
  service.logger.info({ url }, 'Board listening');
  return runUntilTerminated({ ...service, termination, timeoutMs: config.SHUTDOWN_TIMEOUT_MS });
};

/** Builds the board on a service, and serves it: from the first moment the queue is there. */
export const startBoard = async (
  { backend, logger, closers, probes }: Service,
  config: Config<'BOARD_USERNAME' | 'BOARD_PASSWORD'>,
  port: number,
) => {
  const build = async (): Promise<Hono> =>
    createBoard({
      signals: await backend.bullQueue(SIGNALS),
      deadLetters: await backend.bullQueue(DEAD_LETTERS),
      username: config.BOARD_USERNAME,
      password: config.BOARD_PASSWORD,
      readOnly: config.BOARD_READ_ONLY,
      log: (fields, message) => logger.info(fields, message),
    });
  let building: Promise<Hono> | undefined;
  const built = (): Promise<Hono> => {
    building ??= build().catch((err: unknown) => {
      building = undefined;
      throw err;
    });
    return building;
  };

  const app = new Hono();
  app.route('/', probes);
  app.all('*', async (c) => {
    const answering = built().then((board) => board.fetch(c.req.raw, c.env));
    const answer = await withDeadline(answering, ANSWER_WITHIN_MS, queueIsSilent).catch(
      () => undefined,
    );
    return answer ?? c.text('The queue does not answer\n', 503, { 'retry-after': '5' });
  });
  const server = await serve(app, { host: config.BOARD_HOST, port });
  closers.add('board', () => server.close(patienceOf(config)));
  return server;
};
