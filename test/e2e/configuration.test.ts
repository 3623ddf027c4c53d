import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { empty } from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Deployments, openDeployments } from './deployment.ts';

let deployments: Deployments;
beforeAll(async () => {
  deployments = await openDeployments();
});
afterEach(() => deployments.closeAll());
afterAll(() => deployments.stop());

describe('the start of a process', () => {
  it.each([
    ['api', ['REDIS_URL', 'API_KEYS']],
    ['worker', ['REDIS_URL', 'SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET']],
    ['board', ['REDIS_URL', 'BOARD_USERNAME', 'BOARD_PASSWORD']],
  ])(
    '%s without its variables → exit code 2, and every problem is named',
    async (command, missing) => {
      const { code, stdout, stderr } = await deployments.commands.run([command], {
        RETRY_BASE_MS: 'soon',
      });

      expect(code).toBe(2);
      expect(stdout).toBe('');
      for (const name of missing) expect(stderr).toContain(`${name} is required`);
      expect(stderr).toContain('RETRY_BASE_MS must be a whole number');
    },
  );

  it('a second worker on one machine → another metrics port; a configured port in use → exit code 2', async () => {
    const { startWorker, start } = await deployments.setup();
    const first = await startWorker({ METRICS_PORT: '' });
    const second = await startWorker({ METRICS_PORT: '' });

    // At least one of them logs it: another process on this machine may have the port from the start.
    const written = first.written.stdout + second.written.stdout;
    expect(written).toContain('Port in use; taking another');
    const url = await second.waitForOutput(/"metrics":"([^"]+)"/);
    expect(url).not.toBe(await first.waitForOutput(/"metrics":"([^"]+)"/));
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);

    const configured = start('worker', { METRICS_PORT: new URL(url).port });
    expect(await configured.exited).toBe(2);
    expect(configured.written.stderr).toContain(`METRICS_PORT ${new URL(url).port} is in use`);
    expect((await second.end()).code).toBe(0);
  });

  it.each(['api', 'board', 'simulator'])(
    '%s on a port in use → exit code 2, and the variable is named',
    async (command) => {
      const { start, env } = await deployments.setup();
      const { port } = new URL(env.SEEK_API_URL ?? '');
      const variable = `${command.toUpperCase()}_PORT`;

      const configured = start(command, { [variable]: port });

      expect(await configured.exited).toBe(2);
      expect(configured.written.stderr).toContain(`${variable} ${port} is in use`);
    },
  );
});

describe('secrets in files', () => {
  it('a rotated file → applied without a restart; an invalid file → changes nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'seek-secrets-'));
    deployments.closing.push(() => rm(folder, { recursive: true }));
    const file = async (name: string, text: string): Promise<string> => {
      const path = join(folder, name);
      // As platforms mount secrets: a new file replaces the old one.
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
      return path;
    };
    const { start } = await deployments.setup({
      token: ({ text }) => (text.includes('new-client-secret') ? undefined : empty(401)),
    });
    const api = start('api', { API_KEYS: '', API_KEYS_FILE: await file('keys', 'ats:old-key\n') });
    const url = await api.waitForOutput(/"url":"([^"]+)"/);
    const call = async (key: string, path: string, body?: object) => {
      const headers = { authorization: `Bearer ${key}` };
      const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
      const response = await fetch(url + path, { headers, ...post });
      return { status: response.status, body: JSON.parse(await response.text()) };
    };
    const { signalId } = (await call('old-key', '/signals', deployments.buildComplete())).body;
    const worker = start('worker', {
      SEEK_CLIENT_SECRET: '',
      DELIVERY_SUSPEND_MAX_MS: '100',
      SEEK_CLIENT_SECRET_FILE: await file('secret', 'old-client-secret'),
    });
    await worker.waitForOutput(/SEEK refuses SEEK_CLIENT_ID/);

    await file('keys', 'two words');
    await api.waitForOutput(/Secrets not reloaded/);
    expect((await call('old-key', '/status')).status).toBe(200);

    await file('keys', 'ats:new-key');
    await file('secret', 'new-client-secret');
    await api.waitForOutput(/Secrets reloaded/);
    expect((await call('old-key', '/status')).status).toBe(401);
    await waitFor(
      async () => (await call('new-key', `/signals/${signalId}`)).body.state === 'delivered',
    );
    const written = [api, worker].map(({ written: output }) => JSON.stringify(output)).join('');
    expect(written).not.toMatch(/(?:old|new)-(?:key|client-secret)/);
  }, 90_000);
});

describe('the output of all processes', () => {
  it('after these tests → contains no token and no secret', () => {
    expect(deployments.commands.output()).toContain('signal.accepted');
    deployments.expectNoSecretsInOutput();
  });
});
