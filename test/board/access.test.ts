import { createBoard } from '../../src/board/createBoard.ts';

import {
  type BoardUnderTest,
  basic,
  DEAD_LETTER,
  EMPTY_PAGES,
  LOGIN,
  startBoard,
  VIEWER,
} from './boardUnderTest.ts';

let subject: BoardUnderTest;
beforeAll(async () => {
  subject = await startBoard();
});
beforeEach(() => subject.reset());
afterAll(() => subject.stop());

const PATHS = [
  '/',
  '/signals?q=x',
  '/signals/x',
  '/queues',
  '/queues/queue/signals',
  '/queues/api/queues',
  '/api/queues',
  '/queues/static/favicon.ico',
  '/queue/signals',
  '/nowhere',
];

describe('login', () => {
  it.each(PATHS)('GET %s without a login → 401, not logged', async (path) => {
    const response = await subject.request('GET', path, { authorization: '' });

    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      'Basic realm="SEEK signals", charset="UTF-8"',
    );
    expect(subject.logged).toEqual([]);
  });

  it.each([
    ['another password', basic({ ...LOGIN, password: 'mot' })],
    ['another username', basic({ ...LOGIN, username: 'operateur' })],
    ['a longer password', basic({ ...LOGIN, password: `${LOGIN.password}!` })],
    ['an empty username and password', basic({ username: '', password: '' })],
    ['another scheme', basic().replace('Basic', 'Bearer')],
    ['invalid base64', 'Basic *'],
  ])('a login with %s → 401', async (_what, authorization) => {
    expect((await subject.request('GET', '/', { authorization })).status).toBe(401);
  });

  it('failed login → logs path and address, but not what was typed', async () => {
    await subject.request('GET', '/', { authorization: basic({ ...LOGIN, password: 'guess' }) });

    expect(subject.logged).toEqual([{ path: '/', address: '', message: 'Board login refused' }]);
  });

  it('twenty failed logins within a minute → even the correct login waits for a minute', async () => {
    let now = 1_000_000;
    const { signals, deadLetters } = subject;
    const board = createBoard({
      signals,
      deadLetters,
      pages: EMPTY_PAGES,
      noteRedriver: async () => {},
      now: () => now,
      accounts: [{ ...LOGIN, readOnly: false }],
    });
    const login = (authorization: string) =>
      board.request('http://board.test/', { headers: { host: 'board.test', authorization } });
    const wrong = basic({ ...LOGIN, password: 'guess' });
    for (let guess = 0; guess < 20; guess += 1) expect((await login(wrong)).status).toBe(401);

    const throttled = await login(basic());
    now += 60_000;

    expect([throttled.status, throttled.headers.get('retry-after')]).toEqual([429, '60']);
    expect((await login(basic())).status).toBe(200);
  });

  it('the viewer views and cannot write; the operator can do both', async () => {
    const retry = `/api/queues/dead-letters/${DEAD_LETTER}/retry`;
    const viewer = { authorization: basic(VIEWER) };

    expect((await subject.request('GET', '/', viewer)).status).toBe(200);
    expect((await subject.request('PUT', retry, viewer)).status).toBe(403);
    expect((await subject.request('PUT', retry)).status).toBe(204);
    expect(subject.logged).toEqual([
      expect.objectContaining({ message: 'Board write refused', by: VIEWER.username }),
      expect.objectContaining({ message: 'Board write allowed', by: LOGIN.username }),
    ]);
  });

  it('unknown signal → 404; redrive by the viewer → 403; redrive of no dead letter → 409', async () => {
    const viewer = { authorization: basic(VIEWER) };
    const redrive = `/signals/${DEAD_LETTER}/redrive`;

    expect((await subject.request('GET', '/signals/unknown')).status).toBe(404);
    expect((await subject.request('POST', redrive, viewer)).status).toBe(403);
    expect((await subject.request('POST', redrive)).status).toBe(409);
  });

  it('username of one account with the password of the other → 401', async () => {
    const authorization = basic({ username: VIEWER.username, password: LOGIN.password });

    expect((await subject.request('GET', '/', { authorization })).status).toBe(401);
  });

  it('username in another Unicode normal form → accepted', async () => {
    const authorization = basic({ ...LOGIN, username: LOGIN.username.normalize('NFD') });

    expect((await subject.request('GET', '/', { authorization })).status).toBe(200);
  });

  it.each([
    { username: 'a:b', password: 'secret' },
    { username: '', password: 'secret' },
    { username: 'admin', password: '' },
    { username: 'admin', password: 'secret\n' },
  ])('account %j, which no browser could send → createBoard throws', (login) => {
    const { signals, deadLetters } = subject;

    const accounts = [
      { ...LOGIN, readOnly: false },
      { ...login, readOnly: true },
    ];

    const noteRedriver = async () => {};

    expect(() =>
      createBoard({ signals, deadLetters, pages: EMPTY_PAGES, noteRedriver, accounts }),
    ).toThrow(/board/);
  });
});

describe('a write', () => {
  const retry = `/api/queues/dead-letters/${DEAD_LETTER}/retry`;

  it.each([
    ['by a script', {}],
    [
      'by a form of the board, in a browser without Sec-Fetch-Site',
      { origin: 'http://board.test', referer: 'http://board.test/', 'user-agent': 'Mozilla/5.0' },
    ],
    ['by a page of the board', { 'sec-fetch-site': 'same-origin', origin: 'http://board.test' }],
    ['by a page of the board in an older browser', { origin: 'http://board.test' }],
    ['by a page of the board behind TLS', { origin: 'https://board.test' }],
    [
      'by a page of the board behind a proxy',
      { 'sec-fetch-site': 'same-origin', origin: 'https://public.test' },
    ],
  ])('%s → allowed', async (_source, headers) => {
    expect((await subject.request('PUT', retry, headers)).status).toBe(204);
  });

  it.each([
    ['by another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' }],
    ['by a sister host', { 'sec-fetch-site': 'same-site', origin: 'https://evil.board.test' }],
    ['by another site in an older browser', { origin: 'https://evil.test' }],
    ['by another port', { origin: 'http://board.test:8080' }],
    ['by a sandboxed frame', { origin: 'null' }],
    [
      'by a link from another site',
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
    ],
    ['by a browser that sends no origin', { 'user-agent': 'Mozilla/5.0' }],
  ])('%s → 403, the dead letter is unchanged', async (_source, headers) => {
    expect((await subject.request('PUT', retry, headers)).status).toBe(403);
    expect(await subject.deadLetters.getJob(DEAD_LETTER)).toMatchObject({ attemptsMade: 1 });
  });
});

describe('a read', () => {
  it('by a link from another site → 200; by any other request from there → 403', async () => {
    const foreign = { 'sec-fetch-site': 'cross-site' };
    const link = { ...foreign, 'sec-fetch-mode': 'navigate' };

    expect((await subject.request('GET', '/queues/queue/signals', link)).status).toBe(200);
    expect((await subject.request('GET', '/api/queues', foreign)).status).toBe(403);
  });

  it('from the same origin → no CORS header that would let another site read', async () => {
    const response = await subject.request('GET', '/api/queues', { origin: 'http://board.test' });

    expect(
      [...response.headers.keys()].filter((name) => name.startsWith('access-control')),
    ).toEqual([]);
  });
});

describe('pages', () => {
  it('former paths of Bull Board, and its start page with a slash → redirected', async () => {
    const locationOf = async (path: string) =>
      (await subject.request('GET', path)).headers.get('location');

    expect(await locationOf('/queues/')).toBe('/queues');
    expect(await locationOf('/queue/signals')).toBe('/queues/queue/signals');
    expect(await locationOf('/queue/a%0D%0Ab?status=failed')).toBe(
      '/queues/queue/a%0D%0Ab?status=failed',
    );
  });

  it.each(['/', '/signals/x', '/queues'])(
    '%s → names no other host, and its policy allows none',
    async (path) => {
      const response = await subject.request('GET', path);
      const html = await response.text();

      expect(html).toMatch(/<title>.*SEEK signals<\/title>/);
      expect(html).not.toMatch(/https?:\/\//);
      // Every script is a file of the board, as the policy requires.
      expect(html).not.toMatch(
        /<script(?! defer src="static\/| id="__UI_CONFIG__" type="application\/json")/,
      );
      const policy = response.headers.get('content-security-policy');
      expect(policy).toContain("default-src 'none'; script-src 'self'; ");
      expect(policy).not.toMatch(/https?:|\*/);
    },
  );

  it.each([...PATHS, '/api/queues/signals/unknown'])(
    '%s → has the security headers',
    async (path) => {
      const { headers } = await subject.request('GET', path);

      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('same-origin');
      expect(headers.get('cache-control')).toBe(
        path.startsWith('/queues/static/') ? 'private, max-age=3600' : 'no-store',
      );
    },
  );
});
