import { Hono } from 'hono';
import { cacheHeaders, pageHeaders } from '../../board/browserSecurity.ts';
import { openBoard } from '../../board/createBoard.ts';
import type { Account } from '../../board/login.ts';
import { queueUnavailable } from '../../board/pages/unavailable.ts';
import { type Config, ConfigError, loadConfig, shutdownGraceMs } from '../../config/config.ts';
import { createThrottle } from '../../observability/logger.ts';
import { queueTimedOut, withDeadline } from '../../runtime/async.ts';
import { serve } from '../../runtime/httpServer.ts';
import { noLaterFailure, runUntilTerminated } from '../../runtime/lifecycle.ts';
import { answerOtherMethods } from '../../runtime/otherMethods.ts';
import { onPort } from './probesServer.ts';
import { openService, type Service } from './service.ts';

const RESPONSE_TIMEOUT_MS = 4_000;
const LOG_INTERVAL_MS = 10_000;

/** `seek-signals board`: status pages, and Bull Board for both queues. */
export const board = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, ['REDIS_URL', 'BOARD_USERNAME', 'BOARD_PASSWORD'], 'board');
  const service = openService(config, 'fail-fast', { need: 'read' });
  const run = async (): Promise<string> => {
    const start = (port: number) => startBoard(service, config, port);
    const { url } = await onPort(start, config.BOARD_PORT, 'BOARD_PORT');
    service.logger.info({ url }, 'Board listening');
    return noLaterFailure();
  };
  return runUntilTerminated({
    ...service,
    termination,
    run,
    timeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  });
};

type BoardConfig = Config<'BOARD_USERNAME' | 'BOARD_PASSWORD'>;

/** The operator, and the viewer if one is configured. */
const accountsOf = (config: BoardConfig): Account[] => {
  const operator = {
    username: config.BOARD_USERNAME,
    password: config.BOARD_PASSWORD,
    readOnly: config.BOARD_READ_ONLY,
  };
  const { BOARD_VIEWER_USERNAME: username, BOARD_VIEWER_PASSWORD: password } = config;
  if (username === undefined || password === undefined) return [operator];
  if (username === operator.username) {
    throw new ConfigError(
      'BOARD_VIEWER_USERNAME equals BOARD_USERNAME; give the viewer another name',
    );
  }
  return [operator, { username, password, readOnly: true }];
};

/**
 * Serves the board. It is built with the first request that reaches the queue. Until then, requests get the page
 * that says that the queue is unavailable, and the process does not end.
 */
export const startBoard = async (service: Service, config: BoardConfig, port: number) => {
  const { backend, lookup, findSignals, status, deadLetters } = service;
  const { logger, closers, probes } = service;
  const accounts = accountsOf(config);
  const log = (fields: Record<string, unknown>, message: string) => logger.info(fields, message);
  const build = () =>
    openBoard({ backend, lookup, findSignals, status, deadLetters, accounts, log });
  let building: ReturnType<typeof build> | undefined;
  /** Builds once. A failure is not cached, so the next request builds again. */
  const getBoard = (): ReturnType<typeof build> => {
    building ??= build().catch((err: unknown) => {
      building = undefined;
      throw err;
    });
    return building;
  };

  const isLogDue = createThrottle(LOG_INTERVAL_MS);
  const app = new Hono({ strict: false });
  // Also here, because the unavailable page is served without the board and needs the same headers.
  app.use(cacheHeaders, pageHeaders, answerOtherMethods(app));
  app.route('/', probes);
  app.all('*', async (c) => {
    const answered = getBoard().then((board) => board.fetch(c.req.raw, c.env));
    const response = await withDeadline(answered, RESPONSE_TIMEOUT_MS, queueTimedOut).catch(
      (err: unknown) => {
        // Only logged: the page is shown without a login.
        const { code, message: reason } = backend.explainFailure(err);
        if (isLogDue()) logger.warn({ code, reason }, 'The board is unavailable');
        return undefined;
      },
    );
    return response ?? queueUnavailable(c);
  });
  const server = await serve(app, { host: config.BOARD_HOST, port });
  closers.add('board', () => server.close(shutdownGraceMs(config)));
  return server;
};
