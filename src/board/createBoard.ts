import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { BoardHooks, ControllerHandlerReturnType } from '@bull-board/api/typings/app';
import { HonoAdapter } from '@bull-board/hono';
import { serveStatic } from '@hono/node-server/serve-static';
import type { Queue } from 'bullmq';
import { Hono } from 'hono';

import { createAllowList } from './allowList.ts';
import { createLogin } from './login.ts';
import { refuseForeignOrigins } from './origin.ts';
import { caching, pageHeaders, selfContained } from './page.ts';

type Log = (fields: Record<string, unknown>, message: string) => void;

type Deps = {
  signals: Queue;
  deadLetters: Queue;
  username: string;
  password: string;
  readOnly: boolean;
  log?: Log;
  now?: () => number;
};

const createHooks = ({ signals, deadLetters, readOnly }: Deps, log: Log): BoardHooks => {
  const names = { signals: signals.name, deadLetters: deadLetters.name };
  const allowList = createAllowList({ names, readOnly });

  return {
    before: async (context) => {
      const { method, route, request } = context;
      const refusal = await allowList.refusal(context);
      if (method !== 'get') {
        const fields = { method, route, ...request.params, ...(refusal && { reason: refusal }) };
        log(fields, refusal ? 'Board write refused' : 'Board write allowed');
      }
      return refusal === undefined
        ? { allow: true }
        : { allow: false, status: 403, message: `Refused: ${refusal}` };
    },
    after: async (context, result) => ({
      ...result,
      body: await allowList.masked(context, result.body),
    }),
  };
};

const NO_ANSWER = /max retries per request|Command timed out|Connection is closed/;

const toAnswer = (error: Error): ControllerHandlerReturnType => ({
  status: 500,
  body: {
    error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' },
    message: toMessage(error),
  },
});

const toMessage = ({ name, message }: Error): string => {
  if (NO_ANSWER.test(message)) return 'The queue does not answer.';
  // A SyntaxError quotes what could not be parsed: the data of a job, and in it perhaps a token.
  return name === 'SyntaxError' ? 'The data of a job here is not JSON.' : message;
};

const mountBullBoard = (deps: Deps, log: Log) => {
  const { signals, deadLetters, readOnly } = deps;
  const serverAdapter = new HonoAdapter(serveStatic);

  createBullBoard({
    queues: [
      new BullMQAdapter(signals, { readOnlyMode: readOnly, allowRetries: false }),
      new BullMQAdapter(deadLetters, { readOnlyMode: readOnly }),
    ],
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'SEEK signals',
        hideDocsLink: true,
        hideRedisDetails: true,
        showWorkers: false,
        showMetrics: false,
      },
      handlerHooks: createHooks(deps, log),
    },
  });

  // Bull Board would answer any error as it is.
  return serverAdapter.setErrorHandler(toAnswer).registerPlugin();
};

/** Bull Board over both queues, to be served at the root of a host: who may see it, what of it, and what may be done. */
export const createBoard = (deps: Deps): Hono => {
  const log = deps.log ?? (() => {});
  const app = new Hono();

  app.use(caching, pageHeaders, createLogin({ ...deps, log }), refuseForeignOrigins);
  app.use(selfContained);
  app.route('/', mountBullBoard(deps, log));
  app.all('*', (c) =>
    c.req.method === 'GET' || c.req.method === 'HEAD'
      ? c.json({ message: 'There is no such page.' }, 404)
      : c.json({ message: 'Refused: the board knows no such write.' }, 403),
  );

  return app;
};
