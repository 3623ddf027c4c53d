import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { buildCommands, type Commands } from '../support/commands.ts';
import { refused, startScriptedSeek } from '../support/scriptedSeek.ts';
import { type Accepted, API_KEY, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

let commands: Commands;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  commands = await buildCommands();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => commands.stop());

describe('dev on the embedded queue', () => {
  it('a second dev on the folder → refused; other commands → use its API; a restart → keeps the data', async () => {
    const token = newToken();
    const folder = await mkdtemp(join(tmpdir(), 'seek-dev-'));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    const seek = await startScriptedSeek({ answers: [refused('FORBIDDEN')] });
    closing.push(seek.close);
    const env = {
      ...seek.env,
      EMBEDDED_PATH: join(folder, 'queue'),
      API_KEYS: API_KEY,
      API_PORT: '0',
      BOARD_PORT: '0',
      SHUTDOWN_TIMEOUT_MS: '5000',
    };
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await commands.run(args, env);
      return { code, stderr, stdout, json: () => JSON.parse(stdout) };
    };
    expect(await run('status')).toMatchObject({ code: 2, stdout: '' });

    const dev = commands.start(['dev'], env);
    const url = await dev.waitForOutput(/API +(http:\S+)/);
    const second = await run('dev');
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/is used by process \d+/);

    const body = JSON.stringify(buildApplicationComplete({ token }));
    const headers = { authorization: `Bearer ${API_KEY}` };
    const response = await fetch(`${url}/signals`, { method: 'POST', headers, body });
    const { signalId }: Accepted = JSON.parse(await response.text());
    await waitFor(async () => (await run('dead-letters', 'list', '--json')).json().length === 1);
    expect((await run('status', '--json')).json().counts).toMatchObject({ dead: 1, waiting: 0 });
    expect((await run('show', signalId, '--json')).json()).toMatchObject({ state: 'dead' });
    expect((await run('dead-letters', 'show', signalId)).stdout).toContain('FORBIDDEN');
    const [, requestId = ''] =
      /([0-9a-f-]{36}) +FORBIDDEN/.exec((await run('show', signalId)).stdout) ?? [];
    expect((await run('find', '--request-id', requestId)).stdout).toContain(signalId);
    expect((await run('tokens', 'expiring', '--json')).json()).toEqual([]);
    expect((await run('dead-letters', 'redrive', signalId)).code).toBe(0);
    await waitFor(() => seek.requests.length === 2);
    expect(await dev.end()).toMatchObject({ code: 0 });

    const again = commands.start(['dev'], env);
    await again.waitForOutput(/API +(http:\S+)/);
    expect((await run('show', signalId, '--json')).json()).toMatchObject({
      state: 'delivered',
      redrives: 1,
    });
    expect(await again.end('SIGINT')).toMatchObject({ code: 0 });
    const output = commands.output();
    expect(output).toContain('signal.accepted');
    expect(output).toContain('signal.deadLettered');
    for (const secret of [
      token,
      encodeURIComponent(token),
      'partner-token-',
      'scripted-client-secret',
    ]) {
      expect([secret, output.includes(secret)]).toEqual([secret, false]);
    }
    // The test runs a dozen processes, one after another.
  }, 120_000);
});

it('demo that cannot start → exit code 2, and no folder is left', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-demo-'));
  try {
    const { code } = await commands.run(['demo'], { LOG_LEVEL: 'nonsense', TMPDIR: folder });

    expect([code, await readdir(folder)]).toEqual([2, []]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
