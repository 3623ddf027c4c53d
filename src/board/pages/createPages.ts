import { Hono } from 'hono';

import { queueIsSilent, withDeadline } from '../../deadline.ts';
import type { LetterView } from '../../queue/deadLetters.ts';
import type { History } from '../../queue/history.ts';
import type { QueueStatus } from '../../queue/queueStatus.ts';
import type { SignalLife } from '../../schemas/states.ts';
import { overviewPage, SHOWN_MS } from './overview.ts';
import { foundPage, noSignalPage, signalPage } from './signalPages.ts';

const NEWEST_LETTERS = 10;
const LETTERS_WITHIN_MS = 1_500;
const MOST_FOUND = 200;

export type PagesDeps = {
  status: () => Promise<QueueStatus>;
  history: Pick<History, 'read'>;
  newestLetters: (limit: number) => Promise<LetterView[]>;
  find: (signalId: string) => Promise<SignalLife | undefined>;
  /** By whatever a signal may be looked for. */
  search: (text: string, limit: number) => Promise<SignalLife[]>;
  now?: () => number;
};

/** Our own pages, made whole on the server: how things stand, and the life of a signal. */
export const createPages = ({ now = Date.now, ...deps }: PagesDeps): Hono => {
  const { status, history, newestLetters, find, search } = deps;
  const app = new Hono();

  app.get('/', async (c) => {
    const [standing, past, letters] = await Promise.all([
      status(),
      history.read(SHOWN_MS),
      withDeadline(newestLetters(NEWEST_LETTERS), LETTERS_WITHIN_MS, queueIsSilent).catch(
        () => undefined,
      ),
    ]);
    return c.html(overviewPage({ status: standing, history: past, letters }, now()));
  });

  app.get('/signals', async (c) => {
    const sought = (c.req.query('q') ?? '').trim();
    if (sought === '') return c.redirect('/');
    if (isNoName(sought)) return c.html(noSignalPage(sought));
    if ((await find(sought)) !== undefined) {
      return c.redirect(`/signals/${encodeURIComponent(sought)}`);
    }
    return c.html(foundPage(sought, await search(sought, MOST_FOUND), now()));
  });

  app.get('/signals/:signalId', async (c) => {
    const signalId = c.req.param('signalId');
    const life = isNoName(signalId) ? undefined : await find(signalId);
    return life === undefined
      ? c.html(noSignalPage(signalId), 404)
      : c.html(signalPage(life, now()));
  });

  return app;
};

const isNoName = (text: string): boolean => /\p{Cc}/u.test(text);
