import { createBoard } from '../../src/board/createBoard.ts';

import {
  type BoardUnderTest,
  basic,
  EMPTY,
  LETTER,
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

const PATHS = ['/', '/signals?q=x', '/signals/x', '/queues', '/queues/queue/signals'].concat([
  '/queues/api/queues',
  '/api/queues',
  '/queues/static/favicon.ico',
  '/queue/signals',
  '/nowhere',
]);

describe('login', () => {
  it.each(PATHS)('stands before %s', async (path) => {
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
    ['nothing in it', basic({ username: '', password: '' })],
    ['another scheme', basic().replace('Basic', 'Bearer')],
    ['no base64', 'Basic *'],
  ])('refuses %s', async (_what, authorization) => {
    expect((await subject.request('GET', '/', { authorization })).status).toBe(401);
  });

  it('logs a wrong login, without what was typed', async () => {
    await subject.request('GET', '/', { authorization: basic({ ...LOGIN, password: 'guess' }) });

    expect(subject.logged).toEqual([{ path: '/', address: '', message: 'Board login refused' }]);
  });

  it('lets who guesses wait, even with the right one, and then in', async () => {
    let now = 1_000_000;
    const { signals, deadLetters } = subject;
    const board = createBoard({
      ...{ signals, deadLetters, pages: EMPTY, noteRedriver: async () => {}, now: () => now },
      accounts: [{ ...LOGIN, readOnly: false }],
    });
    const login = (authorization: string) =>
      board.request('http://board.test/', { headers: { host: 'board.test', authorization } });
    const wrong = basic({ ...LOGIN, password: 'guess' });
    for (let guess = 0; guess < 20; guess += 1) expect((await login(wrong)).status).toBe(401);

    const shut = await login(basic());
    now += 60_000;

    expect([shut.status, shut.headers.get('retry-after')]).toEqual([429, '60']);
    expect((await login(basic())).status).toBe(200);
  });

  it('knows both of its people apart', async () => {
    const retry = `/api/queues/dead-letters/${LETTER}/retry`;
    const viewer = { authorization: basic(VIEWER) };

    expect((await subject.request('GET', '/', viewer)).status).toBe(200);
    expect((await subject.request('PUT', retry, viewer)).status).toBe(403);
    expect((await subject.request('PUT', retry)).status).toBe(204);
    expect(subject.logged).toEqual([
      expect.objectContaining({ message: 'Board write refused', by: VIEWER.username }),
      expect.objectContaining({ message: 'Board write allowed', by: LOGIN.username }),
    ]);
  });

  it('says by its status, too, that a signal is not there or not to be redriven by them', async () => {
    const viewer = { authorization: basic(VIEWER) };
    const redrive = `/signals/${LETTER}/redrive`;

    expect((await subject.request('GET', '/signals/nobody')).status).toBe(404);
    expect((await subject.request('POST', redrive, viewer)).status).toBe(403);
    expect((await subject.request('POST', redrive)).status).toBe(409);
  });

  it('takes no password for that of another', async () => {
    const authorization = basic({ username: VIEWER.username, password: LOGIN.password });

    expect((await subject.request('GET', '/', { authorization })).status).toBe(401);
  });

  it('takes an accent however the keyboard composed it', async () => {
    const authorization = basic({ ...LOGIN, username: LOGIN.username.normalize('NFD') });

    expect((await subject.request('GET', '/', { authorization })).status).toBe(200);
  });

  it.each([
    { username: 'a:b', password: 'secret' },
    { username: '', password: 'secret' },
    { username: 'admin', password: '' },
    { username: 'admin', password: 'secret\n' },
  ])('does not start with %j, which no browser could send', (login) => {
    const { signals, deadLetters } = subject;

    const accounts = [
      { ...LOGIN, readOnly: false },
      { ...login, readOnly: true },
    ];

    const noteRedriver = async () => {};

    expect(() =>
      createBoard({ signals, deadLetters, pages: EMPTY, noteRedriver, accounts }),
    ).toThrow(/board/);
  });
});

describe('origins', () => {
  const retry = `/api/queues/dead-letters/${LETTER}/retry`;

  it.each([
    ['a script', {}],
    [
      'a form of its pages, by a browser that says no more',
      { origin: 'http://board.test', referer: 'http://board.test/', 'user-agent': 'Mozilla/5.0' },
    ],
    ['the page itself', { 'sec-fetch-site': 'same-origin', origin: 'http://board.test' }],
    ['the page in an older browser', { origin: 'http://board.test' }],
    ['the page behind TLS', { origin: 'https://board.test' }],
    ['the page behind a proxy', { 'sec-fetch-site': 'same-origin', origin: 'https://public.test' }],
  ])('lets %s write', async (_who, headers) => {
    expect((await subject.request('PUT', retry, headers)).status).toBe(204);
  });

  it.each([
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' }],
    ['a sister host', { 'sec-fetch-site': 'same-site', origin: 'https://evil.board.test' }],
    ['another site in an older browser', { origin: 'https://evil.test' }],
    ['another port', { origin: 'http://board.test:8080' }],
    ['a sandbox', { origin: 'null' }],
    ['a link', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
    ['a browser that names no origin', { 'user-agent': 'Mozilla/5.0' }],
  ])('does not let %s write', async (_who, headers) => {
    expect((await subject.request('PUT', retry, headers)).status).toBe(403);
    expect(await subject.deadLetters.getJob(LETTER)).toMatchObject({ attemptsMade: 1 });
  });

  it('opens a page from a link elsewhere, and answers nothing else to another site', async () => {
    const foreign = { 'sec-fetch-site': 'cross-site' };
    const link = { ...foreign, 'sec-fetch-mode': 'navigate' };

    expect((await subject.request('GET', '/queues/queue/signals', link)).status).toBe(200);
    expect((await subject.request('GET', '/api/queues', foreign)).status).toBe(403);
  });

  it('gives no other site leave to read', async () => {
    const response = await subject.request('GET', '/api/queues', { origin: 'http://board.test' });

    expect(
      [...response.headers.keys()].filter((name) => name.startsWith('access-control')),
    ).toEqual([]);
  });
});

describe('the page', () => {
  it('of Bull Board is found as Bull Board links to it, and where it was once', async () => {
    const to = async (path: string) => (await subject.request('GET', path)).headers.get('location');

    expect(await to('/queues/')).toBe('/queues');
    expect(await to('/queue/signals')).toBe('/queues/queue/signals');
    expect(await to('/queue/a%0D%0Ab?status=failed')).toBe('/queues/queue/a%0D%0Ab?status=failed');
  });

  it.each(['/', '/signals/x', '/queues'])(
    'names no other host, and could reach none: %s',
    async (path) => {
      const response = await subject.request('GET', path);
      const html = await response.text();

      expect(html).toMatch(/<title>.*SEEK signals<\/title>/);
      expect(html).not.toMatch(/https?:\/\//);
      // Every script is a file of ours, as the policy asks.
      expect(html).not.toMatch(
        /<script(?! defer src="static\/| id="__UI_CONFIG__" type="application\/json")/,
      );
      const policy = response.headers.get('content-security-policy');
      expect(policy).toContain("default-src 'none'; script-src 'self'; ");
      expect(policy).not.toMatch(/https?:|\*/);
    },
  );

  it.each([...PATHS, '/api/queues/signals/nobody'])('guards %s by its headers', async (path) => {
    const { headers } = await subject.request('GET', path);

    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('same-origin');
    expect(headers.get('cache-control')).toBe(
      path.startsWith('/queues/static/') ? 'private, max-age=3600' : 'no-store',
    );
  });
});
