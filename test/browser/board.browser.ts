import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';

import { buildApplicationComplete } from '../support/buildSignal.ts';
import { buildCommands, type Env } from '../support/commands.ts';
import { startRedis } from '../support/redisServer.ts';
import { refused, type ScriptedSeek, startScriptedSeek } from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';
import { startChromium } from './chromium.ts';

const API_KEY = 'browser-test-api-key-0123456789';
const OPERATOR = { username: 'operator', password: 'board-password' };
const VIEWER = { username: 'viewer', password: 'looks-only' };
const REASON = 'You are not authorized to act for this hirer';

type Commands = Awaited<ReturnType<typeof buildCommands>>;

let browser: Browser;
let commands: Commands;
let redis: Awaited<ReturnType<typeof startRedis>>;
let seek: ScriptedSeek;

beforeAll(async () => {
  [browser, commands, redis] = await Promise.all([startChromium(), buildCommands(), startRedis()]);
  seek = await startScriptedSeek();
});
afterAll(async () => {
  await browser.close();
  await commands.stop();
  await Promise.all([redis.stop(), seek.close()]);
});

const env = (): Env => ({
  ...{ ...seek.env, API_KEYS: `ats:${API_KEY}`, API_PORT: '0', BOARD_PORT: '0', METRICS_PORT: '0' },
  ...{ BOARD_USERNAME: OPERATOR.username, BOARD_PASSWORD: OPERATOR.password },
  ...{ BOARD_VIEWER_USERNAME: VIEWER.username, BOARD_VIEWER_PASSWORD: VIEWER.password },
});

/** What may be done with a job has no words in Bull Board until it is pointed at. */
const wordless = (page: Page) => page.locator('[class*=jobActions] button');

const buttonThatSays = (page: Page, words: string) =>
  waitFor(
    async () => {
      for (const button of await wordless(page).all()) {
        await button.hover();
        const said = page.getByText(words, { exact: true }).waitFor({ timeout: 2_000 });
        if (await isDone(said)) return button;
      }
      return undefined;
    },
    { what: `a button that says ${words}` },
  );

const isDone = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );

/** The processes of a deployment, or all in one: where they listen. */
const PLATFORMS = [
  {
    name: 'Redis',
    start: async () => {
      const own = { ...env(), REDIS_URL: redis.url };
      const [api, board, worker] = ['api', 'board', 'worker'].map((name) =>
        commands.start([name], own),
      );
      await worker?.says(/Worker started/);
      return {
        api: (await api?.says(/"url":"([^"]+)"/)) ?? '',
        board: (await board?.says(/"url":"([^"]+)"/)) ?? '',
      };
    },
  },
  {
    name: 'the embedded queue',
    start: async () => {
      const dev = commands.start(['dev'], { ...env(), EMBEDDED_PATH: 'browser-test-queue' });
      return {
        api: await dev.says(/API +(http\S+)/),
        board: await dev.says(/board +(http\S+)/),
      };
    },
  },
];

describe.each(PLATFORMS)('the board in a browser, on $name', ({ start }) => {
  let url: { api: string; board: string };
  const contexts: BrowserContext[] = [];
  const troubles: string[] = [];

  beforeAll(async () => {
    url = await start();
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    seek.answerWith([]);
    // A policy that was broken, a script that failed, another host that was asked.
    expect(troubles.splice(0)).toEqual([]);
  });

  const open = async (
    httpCredentials: { username: string; password: string },
    { refusals = false } = {},
  ): Promise<Page> => {
    const context = await browser.newContext({ httpCredentials });
    contexts.push(context);
    const page = await context.newPage();
    page.on('console', (message) => {
      // A dead letter that has just gone back, whose page asks for it once more.
      const isGone =
        message.text().includes('404') && message.location().url.includes('/dead-letters/');
      // Said once for the page, and perhaps once more for its icon, at any time.
      const isRefusal = refusals && message.text().includes('401');
      if (message.type() === 'error' && !isGone && !isRefusal) troubles.push(message.text());
    });
    page.on('pageerror', (error) => troubles.push(error.message));
    page.on('request', (request) => {
      const isOurs = request.url().startsWith(url.board) || request.url().startsWith('data:');
      if (!isOurs) troubles.push(`asked ${request.url()}`);
    });
    return page;
  };

  /** A signal that SEEK refuses for the hirer's sake. */
  const sendRefused = async (): Promise<string> => {
    seek.answerWith(() => refused('FORBIDDEN', { message: REASON }));
    const headers = { authorization: `Bearer ${API_KEY}` };
    const token = `token-${Math.round(performance.now() * 1_000)}`;
    const body = JSON.stringify(buildApplicationComplete({ token }));
    const answer = await fetch(`${url.api}/signals`, { method: 'POST', headers, body });
    const { signalId } = JSON.parse(await answer.text());
    await waitFor(async () => {
      const deadLetter = await fetch(`${url.api}/dead-letters/${signalId}`, { headers });
      return deadLetter.ok;
    });
    return signalId;
  };

  it('shows a stuck signal and its reason, redrives it, and shows that it was delivered', async () => {
    const signalId = await sendRefused();
    const page = await open(OPERATOR);

    await page.goto(url.board);
    await page.getByText(`FORBIDDEN: ${REASON}`).first().waitFor();
    await page.getByRole('link', { name: signalId }).click();
    await page.getByText(REASON).first().waitFor();
    expect(await page.getByRole('row', { name: /^state/ }).textContent()).toContain('dead');

    seek.answerWith([]);
    await page.getByRole('link', { name: 'Its letter in Bull Board' }).click();
    await page.getByText(`FORBIDDEN: ${REASON}`).first().waitFor();
    await (await buttonThatSays(page, 'Retry')).click();
    await page.getByRole('button', { name: 'Confirm' }).click();

    await page.goto(`${url.board}/signals/${signalId}`);
    await waitFor(async () => {
      await page.reload();
      return (await page.getByRole('row', { name: /^state/ }).textContent())?.includes('delivered');
    });
    expect(await page.getByRole('row', { name: /^redriven/ }).textContent()).toContain(
      `by board:${OPERATOR.username}`,
    );
  });

  it('redrives it from its own page, and follows it until it is delivered', async () => {
    const signalId = await sendRefused();
    const page = await open(OPERATOR);
    await page.goto(`${url.board}/signals/${signalId}`);

    seek.answerWith([]);
    await page.getByRole('button', { name: 'Redrive' }).click();

    // By itself: the page asks again.
    await page.getByRole('row', { name: 'state delivered' }).waitFor();
    await page.getByText(`by board:${OPERATOR.username}`).waitFor();
  });

  it('shows to who may only look the same, and nothing to press', async () => {
    const signalId = await sendRefused();
    const visit = async (account: typeof VIEWER, look: (button: Locator) => Promise<void>) => {
      const page = await open(account);
      await page.goto(`${url.board}/signals/${signalId}`);
      await look(page.getByRole('button', { name: 'Redrive' }));
      await page.getByRole('link', { name: 'Its letter in Bull Board' }).click();
      await page.getByText(`FORBIDDEN: ${REASON}`).first().waitFor();
      await look(wordless(page).first());
      await page.goto(`${url.board}/queues/queue/dead-letters?status=failed`);
      await page.getByText(signalId).waitFor();
      await look(page.getByRole('button', { name: 'Retry all' }));
    };

    // Where there are some, they are seen.
    await visit(OPERATOR, (button) => button.waitFor());
    await visit(VIEWER, async (button) => expect(await button.count()).toBe(0));
  });

  it('finds a signal by its X-Request-Id', async () => {
    const signalId = await sendRefused();
    const page = await open(OPERATOR);
    const requestId = String(seek.requests.at(-1)?.headers['x-request-id']);

    await page.goto(url.board);
    await page.getByLabel('Find a signal').fill(requestId);
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByRole('link', { name: signalId }).click();

    await page.getByText(requestId).waitFor();
  });

  it('lets nobody in with another password', async () => {
    const page = await open({ ...OPERATOR, password: 'guessed' }, { refusals: true });

    const answer = await page.goto(url.board);

    expect(answer?.status()).toBe(401);
    expect(await page.getByLabel('Find a signal').count()).toBe(0);
  });
});
