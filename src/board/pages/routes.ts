import { Hono } from 'hono';
import type { DeadLetterView } from '../../deadLetters/deadLetters.ts';
import type { Redriven } from '../../deadLetters/redrive.ts';
import type { QueueStatus } from '../../queue/status.ts';
import type { WorkerStats } from '../../queue/workerStats.ts';
import { queueTimedOut, singleFlight, withDeadline } from '../../runtime/async.ts';
import { nameProblems } from '../../schemas/invalidFields.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import { type LoggedIn, redriverOf } from '../login.ts';
import { overviewPage, SHOWN_MS, signalPath } from './overview.ts';
import { foundPage, noSignalPage, refusedPage, signalPage } from './signalPages.ts';

const NEWEST_LETTERS = 10;
const LETTERS_WITHIN_MS = 1_500;
const MOST_FOUND = 200;

export type PagesDeps = {
  status: () => Promise<QueueStatus>;
  workerStats: Pick<WorkerStats, 'read'>;
  newestLetters: (limit: number) => Promise<DeadLetterView[]>;
  find: (signalId: string) => Promise<SignalRecord | undefined>;
  /** By whatever a signal may be looked for. */
  search: (text: string, limit: number) => Promise<SignalRecord[]>;
  redrive: (signalId: string, by: string) => Promise<Redriven>;
  log: (fields: Record<string, unknown>, message: string) => void;
  now?: () => number;
};

/** Our own pages, made whole on the server: how things stand, and the life of a signal. */
export const createPages = ({ now = Date.now, ...deps }: PagesDeps): Hono<LoggedIn> => {
  const { status, workerStats, newestLetters, find, search, redrive, log } = deps;
  const app = new Hono<LoggedIn>();
  // What takes longer than a page waits goes on behind it.
  const newest = singleFlight(() => newestLetters(NEWEST_LETTERS));

  app.get('/', async (c) => {
    const [standing, past, deadLetters] = await Promise.all([
      status(),
      workerStats.read(SHOWN_MS),
      withDeadline(newest(), LETTERS_WITHIN_MS, queueTimedOut).catch(() => undefined),
    ]);
    return c.html(overviewPage({ status: standing, workerStats: past, deadLetters }, now()));
  });

  app.get('/signals', async (c) => {
    const sought = (c.req.query('q') ?? '').trim();
    if (sought === '') return c.redirect('/');
    if (isNoName(sought)) return c.html(noSignalPage(sought));
    if ((await find(sought)) !== undefined) {
      return c.redirect(signalPath(sought));
    }
    return c.html(foundPage(sought, await search(sought, MOST_FOUND), now()));
  });

  app.get('/signals/:signalId', async (c) => {
    const signalId = c.req.param('signalId');
    const record = isNoName(signalId) ? undefined : await find(signalId);
    if (record === undefined) return c.html(noSignalPage(signalId), 404);
    const { readOnly } = c.get('account');
    const isAsked = c.req.query('asked') !== undefined;
    return c.html(signalPage(record, { now: now(), mayRedrive: !readOnly && !isAsked, isAsked }));
  });

  app.post('/signals/:signalId/redrive', async (c) => {
    const [signalId, account] = [c.req.param('signalId'), c.get('account')];
    if (isNoName(signalId)) return c.html(noSignalPage(signalId), 404);
    if (account.readOnly) return c.html(refusedPage(signalId, 'This login may only look.'), 403);
    const redriven = await redrive(signalId, redriverOf(account));
    log({ by: account.username, signalId, outcome: redriven.kind }, 'Redrive requested');
    switch (redriven.kind) {
      case 'redriven':
        return c.redirect(`${signalPath(signalId)}?asked`, 303);
      case 'not-found':
        return c.html(refusedPage(signalId, 'It is no dead letter any more.'), 409);
      case 'busy':
        return c.html(refusedPage(signalId, 'It is on its way back to the queue already.'), 409);
      case 'invalid': {
        const why = nameProblems(redriven.invalidFields);
        return c.html(refusedPage(signalId, `It would not be accepted today: ${why}`), 422);
      }
    }
  });

  return app;
};

const isNoName = (text: string): boolean => /\p{Cc}/u.test(text);
