import { Hono } from 'hono';
import type { DeadLetterView } from '../../deadLetters/deadLetters.ts';
import type { RedriveOutcome } from '../../deadLetters/redrive.ts';
import type { QueueStatus } from '../../queue/status.ts';
import type { WorkerStats } from '../../queue/workerStats.ts';
import { queueTimedOut, singleFlight, withDeadline } from '../../runtime/async.ts';
import { nameProblems } from '../../schemas/invalidFields.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import { type LoggedIn, redriverOf } from '../login.ts';
import { overviewPage, SHOWN_MS, signalPath } from './overview.ts';
import { notFoundPage, refusalPage, searchResultsPage, signalPage } from './signalPages.ts';

const MAX_NEWEST_DEAD_LETTERS = 10;
const DEAD_LETTERS_TIMEOUT_MS = 1_500;
const MAX_SEARCH_RESULTS = 200;

export type PagesDeps = {
  status: () => Promise<QueueStatus>;
  workerStats: Pick<WorkerStats, 'read'>;
  newestDeadLetters: (limit: number) => Promise<DeadLetterView[]>;
  find: (signalId: string) => Promise<SignalRecord | undefined>;
  /** Finds signals by any of their search keys, such as an application id. */
  search: (text: string, limit: number) => Promise<SignalRecord[]>;
  redrive: (signalId: string, by: string) => Promise<RedriveOutcome>;
  log: (fields: Record<string, unknown>, message: string) => void;
  now?: () => number;
};

/** The status pages, rendered on the server: the overview, the search and the page of a signal. */
export const createPages = ({ now = Date.now, ...deps }: PagesDeps): Hono<LoggedIn> => {
  const { status, workerStats, newestDeadLetters, find, search } = deps;
  const app = new Hono<LoggedIn>();
  // A read that exceeds its timeout keeps running. Sharing it keeps repeated page loads from piling up reads.
  const newest = singleFlight(() => newestDeadLetters(MAX_NEWEST_DEAD_LETTERS));

  app.get('/', async (c) => {
    const [currentStatus, stats, deadLetters] = await Promise.all([
      status(),
      workerStats.read(SHOWN_MS),
      withDeadline(newest(), DEAD_LETTERS_TIMEOUT_MS, queueTimedOut).catch(() => undefined),
    ]);
    return c.html(overviewPage({ status: currentStatus, workerStats: stats, deadLetters }, now()));
  });

  app.get('/signals', async (c) => {
    const query = (c.req.query('q') ?? '').trim();
    if (query === '') return c.redirect('/');
    if (hasControlCharacter(query)) return c.html(notFoundPage(query));
    if ((await find(query)) !== undefined) return c.redirect(signalPath(query));
    return c.html(searchResultsPage(query, await search(query, MAX_SEARCH_RESULTS), now()));
  });

  app.get('/signals/:signalId', async (c) => {
    const signalId = c.req.param('signalId');
    const record = hasControlCharacter(signalId) ? undefined : await find(signalId);
    if (record === undefined) return c.html(notFoundPage(signalId), 404);
    const { readOnly } = c.get('account');
    const isRedriveRequested = c.req.query('asked') !== undefined;
    const mayRedrive = !readOnly && !isRedriveRequested;
    return c.html(signalPage(record, { now: now(), mayRedrive, isRedriveRequested }));
  });

  addRedriveRoute(app, deps);
  return app;
};

const addRedriveRoute = (
  app: Hono<LoggedIn>,
  { redrive, log }: Pick<PagesDeps, 'redrive' | 'log'>,
): void => {
  app.post('/signals/:signalId/redrive', async (c) => {
    const signalId = c.req.param('signalId');
    const account = c.get('account');
    if (hasControlCharacter(signalId)) return c.html(notFoundPage(signalId), 404);
    if (account.readOnly) {
      return c.html(refusalPage(signalId, 'This login can only view, not redrive.'), 403);
    }
    const redriven = await redrive(signalId, redriverOf(account));
    log({ by: account.username, signalId, outcome: redriven.kind }, 'Redrive requested');
    switch (redriven.kind) {
      case 'redriven':
        return c.redirect(`${signalPath(signalId)}?asked`, 303);
      case 'not-found':
        return c.html(refusalPage(signalId, 'This signal is no longer a dead letter.'), 409);
      case 'busy':
        return c.html(refusalPage(signalId, 'This signal is already being redriven.'), 409);
      case 'invalid': {
        const problems = nameProblems(redriven.invalidFields);
        const reason = `This signal fails validation today, so it was not redriven: ${problems}`;
        return c.html(refusalPage(signalId, reason), 422);
      }
    }
  });
};

// Such a text is not looked up: PostgreSQL, which the embedded queue uses, rejects a NUL in a query.
const hasControlCharacter = (text: string): boolean => /\p{Cc}/u.test(text);
