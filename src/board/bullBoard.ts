import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { BoardHooks, ControllerHandlerReturnType } from '@bull-board/api/typings/app';
import { HonoAdapter } from '@bull-board/hono';
import { serveStatic } from '@hono/node-server/serve-static';
import type { Queue } from 'bullmq';
import type { Hono } from 'hono';

import { createAllowList, RETRY_ONE } from './allowList.ts';
import { redriverOf } from './login.ts';

type Deps = {
  signals: Queue;
  deadLetters: Queue;
  /** Who is to see it: his name, and whether he may do anything. */
  account: { username: string; readOnly: boolean };
  /** Where it is served. */
  basePath: string;
  /** Notes who is about to retry a dead letter; nothing where there is none. */
  noteRedriver: (signalId: string, by: string) => Promise<void>;
  log: (fields: Record<string, unknown>, message: string) => void;
};

/** Bull Board over both queues, for one account: what of it may be seen, and what may be done. */
export const mountBullBoard = (deps: Deps): Hono => {
  const { signals, deadLetters, basePath } = deps;
  const { readOnly: readOnlyMode } = deps.account;
  const serverAdapter = new HonoAdapter(serveStatic).setBasePath(basePath);
  const externalJobUrl = ({ id }: { id?: string | number | null | undefined }) => ({
    displayText: "the signal's page",
    href: `/signals/${encodeURIComponent(String(id))}`,
  });

  createBullBoard({
    queues: [
      new BullMQAdapter(signals, { readOnlyMode, allowRetries: false, externalJobUrl }),
      new BullMQAdapter(deadLetters, { readOnlyMode, externalJobUrl }),
    ],
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'SEEK signals',
        hideDocsLink: true,
        hideRedisDetails: true,
        showWorkers: false,
        showMetrics: false,
        miscLinks: [{ text: 'Overview', url: '/' }],
      },
      handlerHooks: createHooks(deps),
    },
  });

  // Bull Board would answer any error as it is.
  return serverAdapter.setErrorHandler(toAnswer).registerPlugin();
};

const createHooks = ({ signals, deadLetters, account, noteRedriver, log }: Deps): BoardHooks => {
  const names = { signals: signals.name, deadLetters: deadLetters.name };
  const allowList = createAllowList({ names, readOnly: account.readOnly });

  return {
    before: async (context) => {
      const { method, route, request } = context;
      const refusal = await allowList.refusal(context);
      if (method !== 'get') {
        const reason = refusal === undefined ? {} : { reason: refusal };
        const fields = { by: account.username, method, route, ...request.params, ...reason };
        log(fields, refusal ? 'Board write refused' : 'Board write allowed');
      }
      if (refusal !== undefined) {
        return { allow: false, status: 403, message: `Refused: ${refusal}` };
      }
      // Of all dead letters at once the log alone says who: there may be too many to be told one by one.
      if (route === RETRY_ONE) await noteRedriver(request.params.jobId, redriverOf(account));
      return { allow: true };
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
