import type { Queue } from 'bullmq';
import { type Context, Hono } from 'hono';
import type { DeadLetters } from '../deadLetters/deadLetters.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import { type ExplainFailure, explainLocalFailure } from '../queue/failure.ts';
import type { FindSignals, SignalLookup } from '../queue/lookup.ts';
import type { QueueStatus } from '../queue/status.ts';
import { answerOtherMethods } from '../runtime/otherMethods.ts';
import {
  cacheHeaders,
  pageHeaders,
  refuseForeignOrigins,
  removeExternalLinks,
} from './browserSecurity.ts';
import { mountBullBoard } from './bullBoard.ts';
import { type Account, createLogin, type LoggedIn } from './login.ts';
import { QUEUES } from './pages/layout.ts';
import { createPages, type PagesDeps } from './pages/routes.ts';
import { queueUnavailable } from './pages/unavailable.ts';

type Deps = {
  signals: Queue;
  deadLetters: Queue;
  accounts: readonly Account[];
  pages: Omit<PagesDeps, 'log'>;
  noteRedriver: (signalId: string, by: string) => Promise<void>;
  explainFailure?: ExplainFailure;
  log?: (fields: Record<string, unknown>, message: string) => void;
  now?: () => number;
};

/**
 * The board, behind a login: the status pages, and Bull Board over both queues under `/queues`. It must be
 * served at the root of a host.
 */
export const createBoard = ({
  log = () => {},
  explainFailure = explainLocalFailure,
  pages,
  ...deps
}: Deps): Hono<LoggedIn> => {
  // A trailing slash is no other resource.
  const app = new Hono<LoggedIn>({ strict: false });
  const bullBoards = new Map(
    deps.accounts.map((account) => {
      const bullBoard = mountBullBoard({ ...deps, account, basePath: QUEUES, log });
      return [account, new Hono().route(QUEUES, bullBoard).notFound(notFound)];
    }),
  );
  const fetchBullBoard = async (c: Context<LoggedIn>, request: Request): Promise<Response> =>
    (await bullBoards.get(c.get('account'))?.fetch(request, c.env)) ?? notFound(c);

  app.use(cacheHeaders, pageHeaders, createLogin({ ...deps, log }), refuseForeignOrigins);
  app.use(removeExternalLinks, answerOtherMethods(app));
  app.route('/', createPages({ ...pages, log }));
  app.all(`${QUEUES}/*`, async (c) => {
    const url = new URL(c.req.url);
    if (!url.pathname.endsWith('/')) return fetchBullBoard(c, c.req.raw);
    // Bull Board links to its start page with a trailing slash, and serves no path with one.
    url.pathname = url.pathname.replace(/\/+$/, '');
    return c.redirect(`${url.pathname}${url.search}`, 308);
  });
  // Bull Board was once served at the root. Scripts still call this path, and bookmarks still point to `/queue/`.
  app.all('/api/*', (c) => {
    const url = new URL(c.req.url);
    url.pathname = `${QUEUES}${url.pathname}`;
    // Leaves out the body: no allowed write has one.
    const { method, headers } = c.req.raw;
    return fetchBullBoard(c, new Request(url, { method, headers }));
  });
  app.get('/queue/*', (c) => {
    // Keeps the path encoded: decoded, it could hold characters that are not allowed in a header.
    const { pathname, search } = new URL(c.req.url);
    return c.redirect(`${QUEUES}${pathname}${search}`);
  });
  app.notFound(notFound);
  app.onError((err, c) => {
    log({ err, path: c.req.path }, 'Board page failed');
    return queueUnavailable(c, explainFailure(err));
  });

  return app;
};

const notFound = (c: Context): Response =>
  c.req.method === 'GET' || c.req.method === 'HEAD'
    ? c.json({ message: 'There is no such page.' }, 404)
    : c.json({ message: 'Refused: the board has no such write.' }, 403);

type OpenBoardDeps = {
  backend: Pick<Backend, 'bullQueue' | 'workerStats' | 'explainFailure'>;
  lookup: Pick<SignalLookup, 'find'>;
  findSignals: Pick<FindSignals, 'byAny'>;
  status: () => Promise<QueueStatus>;
  deadLetters: Pick<DeadLetters, 'list' | 'redrive' | 'noteRedriver'>;
  accounts: readonly Account[];
  log?: (fields: Record<string, unknown>, message: string) => void;
};

/** Builds the board over a queue. Rejects while the queue is unavailable. */
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
    explainFailure: backend.explainFailure,
    pages: {
      find: lookup.find,
      workerStats: backend.workerStats,
      status,
      search: findSignals.byAny,
      redrive: deadLetters.redrive,
      newestDeadLetters: async (limit) => (await deadLetters.list({ limit })).deadLetters,
    },
  });
