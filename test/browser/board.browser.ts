import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';

import { buildApplicationComplete } from '../support/buildSignal.ts';
import { buildCommands, type Env } from '../support/commands.ts';
import { startRedis } from '../support/redisServer.ts';
import { refused, type ScriptedSeek, startScriptedSeek } from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';
import { startChromium } from './chromium.ts';

const API_KEY = 'browser-test-api-key-0123456789';
const OPERATOR = { username: 'operator', password: 'board-password' };
const VIEWER = { username: 'viewer', password: 'view-only' };
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
  ...seek.env,
  API_KEYS: `ats:${API_KEY}`,
  API_PORT: '0',
  BOARD_PORT: '0',
  METRICS_PORT: '0',
  BOARD_USERNAME: OPERATOR.username,
  BOARD_PASSWORD: OPERATOR.password,
  BOARD_VIEWER_USERNAME: VIEWER.username,
  BOARD_VIEWER_PASSWORD: VIEWER.password,
});

/** The buttons for a job in Bull Board. They show only an icon; the label appears on hover. */
const jobButtons = (page: Page) => page.locator('[class*=jobActions] button');

const findJobButton = (page: Page, label: string) =>
  waitFor(
    async () => {
      for (const button of await jobButtons(page).all()) {
        await button.hover();
        const shown = page.getByText(label, { exact: true }).waitFor({ timeout: 2_000 });
        if (await succeeds(shown)) return button;
      }
      return undefined;
    },
    { what: `a button with the label ${label}` },
  );

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );

/** Starts separate processes, or `dev` with all of them in one. Returns their addresses. */
const PLATFORMS = [
  {
    name: 'Redis',
    start: async () => {
      const own = { ...env(), REDIS_URL: redis.url };
      const [api, board, worker] = ['api', 'board', 'worker'].map((name) =>
        commands.start([name], own),
      );
      await worker?.waitForOutput(/Worker started/);
      return {
        api: (await api?.waitForOutput(/"url":"([^"]+)"/)) ?? '',
        board: (await board?.waitForOutput(/"url":"([^"]+)"/)) ?? '',
      };
    },
  },
  {
    name: 'the embedded queue',
    start: async () => {
      const dev = commands.start(['dev'], { ...env(), EMBEDDED_PATH: 'browser-test-queue' });
      return {
        api: await dev.waitForOutput(/API +(http\S+)/),
        board: await dev.waitForOutput(/board +(http\S+)/),
      };
    },
  },
];

describe.each(PLATFORMS)('board in a browser, on $name', ({ start }) => {
  let url: { api: string; board: string };
  const contexts: BrowserContext[] = [];
  const problems: string[] = [];

  beforeAll(async () => {
    url = await start();
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    seek.answerWith([]);
    // Violations of the Content-Security-Policy, script errors, and requests to another host.
    expect(problems.splice(0)).toEqual([]);
  });

  const open = async (
    httpCredentials: { username: string; password: string },
    { allowLoginFailure = false } = {},
  ): Promise<Page> => {
    const context = await browser.newContext({ httpCredentials });
    contexts.push(context);
    const page = await context.newPage();
    page.on('console', (message) => {
      // After a redrive, Bull Board's page requests the dead letter once more.
      const isGone =
        message.text().includes('404') && message.location().url.includes('/dead-letters/');
      // Reported for the page, and sometimes for its icon as well.
      const isLoginFailure = allowLoginFailure && message.text().includes('401');
      if (message.type() === 'error' && !isGone && !isLoginFailure) problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      const isOurs = request.url().startsWith(url.board) || request.url().startsWith('data:');
      if (!isOurs) problems.push(`request to ${request.url()}`);
    });
    return page;
  };

  /** Sends a signal that SEEK rejects with FORBIDDEN, and waits for its dead letter. */
  const sendRejected = async (): Promise<string> => {
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

  it('Retry of a dead letter found on the overview → its page shows the delivery and the login', async () => {
    const signalId = await sendRejected();
    const page = await open(OPERATOR);

    await page.goto(url.board);
    await page.getByText(`FORBIDDEN: ${REASON}`).first().waitFor();
    await page.getByRole('link', { name: signalId }).click();
    await page.getByText(REASON).first().waitFor();
    expect(await page.getByRole('row', { name: /^state/ }).textContent()).toContain('dead');

    seek.answerWith([]);
    await page.getByRole('link', { name: 'Dead letter in Bull Board' }).click();
    await page.getByText(`FORBIDDEN: ${REASON}`).first().waitFor();
    await (await findJobButton(page, 'Retry')).click();
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

  it('Redrive on the page of a signal → the page reloads until it is delivered', async () => {
    const signalId = await sendRejected();
    const page = await open(OPERATOR);
    await page.goto(`${url.board}/signals/${signalId}`);

    seek.answerWith([]);
    await page.getByRole('button', { name: 'Redrive' }).click();

    // Without a reload by the test: the page reloads itself.
    await page.getByRole('row', { name: 'state delivered' }).waitFor();
    await page.getByText(`by board:${OPERATOR.username}`).waitFor();
  });

  it('read-only login → sees the same pages without buttons', async () => {
    const signalId = await sendRejected();
    const visit = async (account: typeof VIEWER, check: (button: Locator) => Promise<void>) => {
      const page = await open(account);
      await page.goto(`${url.board}/signals/${signalId}`);
      await check(page.getByRole('button', { name: 'Redrive' }));
      await page.getByRole('link', { name: 'Dead letter in Bull Board' }).click();
      await page.getByText(`FORBIDDEN: ${REASON}`).first().waitFor();
      await check(jobButtons(page).first());
      await page.goto(`${url.board}/queues/queue/dead-letters?status=failed`);
      await page.getByText(signalId).waitFor();
      await check(page.getByRole('button', { name: 'Retry all' }));
    };

    // Proves that the locators find the buttons of an operator.
    await visit(OPERATOR, (button) => button.waitFor());
    await visit(VIEWER, async (button) => expect(await button.count()).toBe(0));
  });

  it('search for an X-Request-Id → finds the signal', async () => {
    const signalId = await sendRejected();
    const page = await open(OPERATOR);
    const requestId = String(seek.requests.at(-1)?.headers['x-request-id']);

    await page.goto(url.board);
    await page.getByLabel('Find a signal').fill(requestId);
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByRole('link', { name: signalId }).click();

    await page.getByText(requestId).waitFor();
  });

  it('wrong password → 401, no page', async () => {
    const page = await open({ ...OPERATOR, password: 'guessed' }, { allowLoginFailure: true });

    const answer = await page.goto(url.board);

    expect(answer?.status()).toBe(401);
    expect(await page.getByLabel('Find a signal').count()).toBe(0);
  });
});
