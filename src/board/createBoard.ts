import type { Queue } from 'bullmq';
import { type Context, Hono } from 'hono';
import type { DeadLetters } from '../deadLetters/deadLetters.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import type { FindSignals, SignalLookup } from '../queue/lookup.ts';
import type { QueueStatus } from '../queue/status.ts';
import { caching, pageHeaders, refuseForeignOrigins, selfContained } from './browserSecurity.ts';
import { mountBullBoard } from './bullBoard.ts';
import { type Account, createLogin, type LoggedIn } from './login.ts';
import { QUEUES } from './pages/layout.ts';
import { createPages, type PagesDeps } from './pages/routes.ts';
import { noAnswer } from './pages/unavailable.ts';

type Deps = {
  signals: Queue;
  deadLetters: Queue;
  accounts: readonly Account[];
  pages: Omit<PagesDeps, 'log'>;
  noteRedriver: (signalId: string, by: string) => Promise<void>;
  log?: (fields: Record<string, unknown>, message: string) => void;
  now?: () => number;
};

/**
 * The board, to be served at the root of a host: our own pages, and Bull Board over both queues under
 * `/queues`; who may see them, and who may do what.
 */
export const createBoard = ({ log = () => {}, pages, ...deps }: Deps): Hono<LoggedIn> => {
  const app = new Hono<LoggedIn>();
  const boards = new Map(
    deps.accounts.map((account) => {
      const board = mountBullBoard({ ...deps, account, basePath: QUEUES, log });
      return [account, new Hono().route(QUEUES, board).notFound(nothingThere)];
    }),
  );
  const askBullBoard = async (c: Context<LoggedIn>, request: Request): Promise<Response> =>
    (await boards.get(c.get('account'))?.fetch(request, c.env)) ?? nothingThere(c);

  app.use(caching, pageHeaders, createLogin({ ...deps, log }), refuseForeignOrigins);
  app.use(selfContained);
  app.route('/', createPages({ ...pages, log }));
  // As Bull Board itself links to its beginning.
  app.get(`${QUEUES}/`, (c) => c.redirect(QUEUES));
  app.all(`${QUEUES}/*`, (c) => askBullBoard(c, c.req.raw));
  // Where Bull Board was once: scripts ask it there, and people have bookmarks.
  app.all('/api/*', (c) => {
    const url = new URL(c.req.url);
    url.pathname = `${QUEUES}${url.pathname}`;
    // No write that is allowed has a body.
    const { method, headers } = c.req.raw;
    return askBullBoard(c, new Request(url, { method, headers }));
  });
  app.get('/queue/*', (c) => {
    // As it came: taken out of its encoding it could hold what no header may.
    const { pathname, search } = new URL(c.req.url);
    return c.redirect(`${QUEUES}${pathname}${search}`);
  });
  app.notFound(nothingThere);
  app.onError((err, c) => {
    log({ err, path: c.req.path }, 'Board page failed');
    return noAnswer(c);
  });

  return app;
};

const nothingThere = (c: Context): Response =>
  c.req.method === 'GET' || c.req.method === 'HEAD'
    ? c.json({ message: 'There is no such page.' }, 404)
    : c.json({ message: 'Refused: the board knows no such write.' }, 403);

type OpenBoardDeps = {
  backend: Pick<Backend, 'bullQueue' | 'workerStats'>;
  lookup: Pick<SignalLookup, 'find'>;
  findSignals: Pick<FindSignals, 'byAny'>;
  status: () => Promise<QueueStatus>;
  deadLetters: Pick<DeadLetters, 'list' | 'redrive' | 'noteRedriver'>;
  accounts: readonly Account[];
  log?: (fields: Record<string, unknown>, message: string) => void;
};

/** The board over a queue. Rejects while that is not there. */
export const openBoard = async ({
  backend,
  lookup,
  findSignals,
  status,
  deadLetters,
  ...deps
}: OpenBoardDeps) =>
  createBoard({
    ...deps,
    signals: await backend.bullQueue(SIGNALS),
    deadLetters: await backend.bullQueue(DEAD_LETTERS),
    noteRedriver: deadLetters.noteRedriver,
    pages: {
      find: lookup.find,
      workerStats: backend.workerStats,
      status,
      search: findSignals.byAny,
      redrive: deadLetters.redrive,
      newestLetters: async (limit) => (await deadLetters.list({ limit })).deadLetters,
    },
  });
