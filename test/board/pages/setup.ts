import { Hono } from 'hono';
import type { LoggedIn } from '../../../src/board/login.ts';
import type { PagesDeps } from '../../../src/board/pages/routes.ts';
import { createPages } from '../../../src/board/pages/routes.ts';
import type { DeadLetterView } from '../../../src/deadLetters/deadLetters.ts';
import type { SignalRecord } from '../../../src/schemas/signalRecord.ts';
import { EMPTY_PAGES } from '../boardUnderTest.ts';

export const NOW = Date.parse('2026-07-01T03:00:00Z');

export const buildRecord = (change: Partial<SignalRecord> = {}): SignalRecord => ({
  signalId: 'signal-1',
  typeCode: 'ApplicationComplete',
  state: 'dead',
  redrives: 0,
  acceptedAt: '2026-07-01T00:00:00.000Z',
  attempts: [],
  ...change,
});

export const buildDeadLetter = (change: Partial<DeadLetterView> = {}): DeadLetterView => ({
  signalId: 'signal-1',
  typeCode: 'ApplicationComplete',
  code: 'FORBIDDEN',
  reason: 'No.',
  diedAt: '2026-07-01T02:00:00.000Z',
  acceptedAt: '2026-07-01T00:00:00.000Z',
  attempts: [],
  redrives: 0,
  ...change,
});

/** The status pages of an empty queue, except for `change`, at a fixed time. */
export const setup = (change: Partial<PagesDeps> = {}, readOnly = false) => {
  const app = new Hono<LoggedIn>();
  app.use((c, next) => {
    c.set('account', { username: 'ops', password: '', readOnly });
    return next();
  });
  app.route('/', createPages({ ...EMPTY_PAGES, now: () => NOW, ...change }));
  const get = (path: string) => app.request(path);
  return {
    get,
    text: async (path: string) => (await get(path)).text(),
    post: (path: string) => app.request(path, { method: 'POST' }),
  };
};
