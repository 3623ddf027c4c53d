import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { BoardHooks, ControllerHandlerReturnType } from '@bull-board/api/typings/app';
import { HonoAdapter } from '@bull-board/hono';
import { serveStatic } from '@hono/node-server/serve-static';
import type { Queue } from 'bullmq';
import type { Hono } from 'hono';

import { createAllowList, RETRY_ONE } from './allowList.ts';
import { type Account, redriverOf } from './login.ts';

type Deps = {
  signals: Queue;
  deadLetters: Queue;
  account: Pick<Account, 'username' | 'readOnly'>;
  /** The path under which Bull Board is served. */
  basePath: string;
  /** Records the account that is about to retry a dead letter. Does nothing if the dead letter is gone. */
  noteRedriver: (signalId: string, by: string) => Promise<void>;
  log: (fields: Record<string, unknown>, message: string) => void;
};

/** Bull Board over both queues, restricted to the reads and writes that one account may perform. */
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

  // Bull Board's own handler would send every error message unchanged.
  return serverAdapter.setErrorHandler(toErrorResponse).registerPlugin();
};

const createHooks = ({ signals, deadLetters, account, noteRedriver, log }: Deps): BoardHooks => {
  const names = { signals: signals.name, deadLetters: deadLetters.name };
  const allowList = createAllowList({ names, readOnly: account.readOnly });

  return {
    before: async (context) => {
      const { method, route, request } = context;
      const refusal = await allowList.refusalReason(context);
      if (method !== 'get') {
        const reason = refusal === undefined ? {} : { reason: refusal };
        const fields = { by: account.username, method, route, ...request.params, ...reason };
        log(fields, refusal ? 'Board write refused' : 'Board write allowed');
      }
      if (refusal !== undefined) {
        return { allow: false, status: 403, message: `Refused: ${refusal}` };
      }
      // Retry all is recorded in the log only: there may be too many dead letters to write to each.
      if (route === RETRY_ONE) await noteRedriver(request.params.jobId, redriverOf(account));
      return { allow: true };
    },
    after: async (context, result) => ({
      ...result,
      body: await allowList.maskResponse(context, result.body),
    }),
  };
};

const NO_ANSWER = /max retries per request|Command timed out|Connection is closed/;

const toErrorResponse = (error: Error): ControllerHandlerReturnType => ({
  status: 500,
  body: {
    error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' },
    message: toMessage(error),
  },
});

const toMessage = ({ name, message }: Error): string => {
  if (NO_ANSWER.test(message)) return 'The queue does not answer.';
  // A SyntaxError quotes the text that it could not parse: the data of a job, which may hold a token.
  return name === 'SyntaxError' ? 'The data of a job is not valid JSON.' : message;
};
