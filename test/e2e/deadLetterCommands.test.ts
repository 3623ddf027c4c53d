import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Queue } from 'bullmq';

import { lockFolder } from '../../src/queue/embedded/folderLock.ts';

import { buildApplicationComplete, buildDeadLetter } from '../support/buildSignal.ts';
import { buildCommands, type Commands, type Env } from '../support/commands.ts';
import { startRedis } from '../support/redisServer.ts';
import { refused, startScriptedSeek } from '../support/scriptedSeek.ts';
import { type Accepted, API_KEY, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const SECRET = 'seek-token-';

let commands: Commands;
let folder: string;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  commands = await buildCommands();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seek-dead-letters-'));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});
afterAll(() => commands.stop());

/** A running `dev`, or the API and a worker on a Redis of their own. SEEK rejects every signal. */
const setup = async (kind: 'Redis' | 'dev', more: Env = {}) => {
  const seek = await startScriptedSeek({ answers: () => refused('FORBIDDEN') });
  closing.push(seek.close);
  const env: Env = {
    ...seek.env,
    API_KEYS: `ats:${API_KEY}`,
    API_PORT: '0',
    METRICS_PORT: '0',
    BOARD_PORT: '0',
    SHUTDOWN_TIMEOUT_MS: '5000',
    ...more,
  };
  const start = (command: string) => {
    const started = commands.start([command], env);
    closing.push(async () => started.isRunning() && started.end('SIGKILL'));
    return started;
  };
  const startAll = async (): Promise<string> => {
    if (kind === 'dev') {
      env.EMBEDDED_PATH = join(folder, `queue-${closing.length}`);
      return start('dev').waitForOutput(/API +(http:\S+)/);
    }
    const redis = await startRedis();
    closing.push(redis.stop);
    env.REDIS_URL = redis.url;
    await start('worker').waitForOutput(/Worker started/);
    return start('api').waitForOutput(/"url":"([^"]+)"/);
  };
  const url = await startAll();
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await commands.run(args, env);
    return { code, stderr, stdout, json: () => JSON.parse(stdout) };
  };
  // Over HTTP, because it is polled, and a command takes long to start.
  const counts = async () => {
    const response = await fetch(`${url}/status`, {
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    return JSON.parse(await response.text()).counts;
  };

  return {
    seek,
    env,
    url,
    run,
    counts,
    /** Sends signals that SEEK rejects. Resolves with the ids of their dead letters. */
    moveToDeadLetters: async (count: number): Promise<string[]> => {
      const signals = Array.from({ length: count }, () =>
        buildApplicationComplete({ token: newToken() }),
      );
      const response = await fetch(`${url}/signals/batch`, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}` },
        body: JSON.stringify({ signals }),
      });
      const { results }: { results: Accepted[] } = JSON.parse(await response.text());
      await waitFor(async () => (await counts()).dead === count);
      return results.map(({ signalId }) => signalId);
    },
  };
};

describe.each(['Redis', 'dev'] as const)('dead-letters redrive over %s', (kind) => {
  it('--dry-run → a preview that changes nothing; then each redrive is recorded with its requester', async () => {
    const { seek, run, moveToDeadLetters, counts } = await setup(kind);
    const [one = '', ...others] = await moveToDeadLetters(3);
    seek.answerWith([]);

    const [all, named, unknown] = [
      await run('dead-letters', 'redrive', '--dry-run', '--json'),
      await run('dead-letters', 'redrive', one, '--dry-run'),
      await run('dead-letters', 'redrive', 'nobody', '--dry-run', '--json'),
    ];
    expect(all.json()).toMatchObject({ wouldRedrive: 3, invalid: 0, refusals: [] });
    expect(all.json().samples).toHaveLength(3);
    expect([named.code, named.stdout]).toEqual([0, expect.stringContaining(one)]);
    expect([unknown.code, unknown.json()]).toMatchObject([1, { wouldRedrive: 0 }]);
    expect(await counts()).toMatchObject({ dead: 3 });

    expect(await run('dead-letters', 'redrive', one)).toMatchObject({
      code: 0,
      stdout: 'redriven 1 of 1\n',
    });
    expect((await run('dead-letters', 'redrive', '--json')).json()).toEqual({
      redriven: expect.arrayContaining(others),
      invalid: [],
    });
    await waitFor(async () => (await counts()).delivered === 3);
    const by = kind === 'Redis' ? /^cli:./ : /^ats$/;
    expect((await run('show', one, '--json')).json().redriveLog).toEqual([
      { at: expect.any(String), by: expect.stringMatching(by) },
    ]);
    expect((await run('show', one)).stdout).toMatch(/^redriven: \S+ by /m);
    expect(commands.output()).not.toContain(SECRET);
  }, 60_000);
});

describe.each(['Redis', 'dev'] as const)('dead-letters export and import over %s', (kind) => {
  it('an exported file, imported after a discard → every dead letter is back once', async () => {
    const { seek, run, moveToDeadLetters, counts } = await setup(kind);
    const ids = await moveToDeadLetters(3);
    const file = join(folder, 'dead-letters.ndjson');

    const exported = await run('dead-letters', 'export', file, '--code', 'FORBIDDEN');
    expect([exported.code, exported.stdout]).toEqual([0, '']);
    expect(exported.stderr).toMatch(
      /^exported 3 to .*letters.ndjson; .*\n3 of them contain a seek token in plain text/,
    );
    const text = await readFile(file, 'utf8');
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).signalId)
        .toSorted(),
    ).toEqual(ids.toSorted());
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await run('dead-letters', 'export', file)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('already exists'),
    });
    expect(await readFile(file, 'utf8')).toBe(text);

    const none = await run('dead-letters', 'import', file);
    expect(none).toMatchObject({
      code: 0,
      stdout: 'imported 0, skipped 3, invalid 0\n',
      stderr: '',
    });
    expect(await run('dead-letters', 'discard', ...ids, '--reason', ' ')).toMatchObject({
      code: 2,
      stderr: 'seek-signals: --reason must not be empty\n',
    });
    expect((await run('dead-letters', 'discard', ...ids, '--reason', 'test')).code).toBe(0);
    expect(await counts()).toMatchObject({ dead: 0 });

    await writeFile(file, `not a dead letter\n${text}`);
    const some = await run('dead-letters', 'import', file, '--json');
    expect(some).toMatchObject({ code: 1, stderr: 'line 1: Is not JSON in UTF-8\n' });
    expect(some.json()).toEqual({ imported: 3, skipped: 0, invalid: 1 });
    expect(await counts()).toMatchObject({ dead: 3 });

    seek.answerWith([]);
    await waitFor(async () => {
      await run('dead-letters', 'redrive');
      return (await counts()).delivered === 3;
    });
  }, 90_000);

  it('without a file name → standard output and standard input', async () => {
    const { env, run, moveToDeadLetters, counts } = await setup(kind);
    const [id = ''] = await moveToDeadLetters(1);

    const exporting = commands.start(['dead-letters', 'export'], env);
    expect(await exporting.exited).toBe(0);
    await run('dead-letters', 'discard', id, '--reason', 'test');
    const importing = commands.start(
      ['dead-letters', 'import', '-'],
      env,
      exporting.written.stdout,
    );

    expect(await importing.exited).toBe(0);
    expect(importing.written.stdout).toBe('imported 1, skipped 0, invalid 0\n');
    expect(await counts()).toMatchObject({ dead: 1 });
  }, 60_000);
});

/** Stands in for a `dev` on this test's folder: it answers every request with an export. */
const startFakeDev = async (answer: (response: ServerResponse) => void): Promise<Env> => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    answer(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  closing.push(async () => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const apiUrl = `http://127.0.0.1:${port}`;
  const lock = await lockFolder(folder, { apiUrl, apiKey: 'key' });
  closing.push(lock.release);
  return { EMBEDDED_PATH: folder };
};

it('dead-letters export of more than a pipe holds → all of it on standard output, exit code 0', async () => {
  const deadLetters = Array.from({ length: 20 }, () =>
    buildDeadLetter({ reason: 'x'.repeat(1_000_000) }),
  );
  const text = deadLetters.map((deadLetter) => `${JSON.stringify(deadLetter)}\n`).join('');
  const env = await startFakeDev((response) => response.end(text));

  const { code, stdout, stderr } = await commands.run(['dead-letters', 'export'], env);

  expect([code, stdout]).toEqual([0, text]);
  expect(stderr).toMatch(/^exported 20;.*\n20 of them contain a seek token in plain text.*\n$/);
});

it('dead-letters export whose connection breaks → exit code 1, and no file is left', async () => {
  const file = join(folder, 'dead-letters.ndjson');
  const env = await startFakeDev((response) => {
    response.write(`${JSON.stringify(buildDeadLetter())}\n`, () => response.destroy());
  });

  const { code, stderr } = await commands.run(['dead-letters', 'export', file], env);

  expect([code, stderr]).toEqual([1, expect.stringMatching(/^Export failed: /)]);
  await expect(stat(file)).rejects.toThrow('ENOENT');
});

it('dead-letters redrive of an invalid signal → it is named, and the rest is redriven', async () => {
  const { seek, env, run, moveToDeadLetters, counts } = await setup('Redis');
  const [good = ''] = await moveToDeadLetters(1);
  const queue = new Queue('signals', {
    connection: { url: env.REDIS_URL ?? '' },
    prefix: '{seek}',
  });
  closing.push(() => queue.close());
  await queue.add('mail', { to: 'somebody' }, { jobId: 'bad' });
  await waitFor(async () => (await counts()).dead === 2);
  seek.answerWith([]);

  const dry = await run('dead-letters', 'redrive', '--dry-run');
  const { code, stdout, stderr } = await run('dead-letters', 'redrive', 'bad', good, '--json');

  expect(dry.stdout).toMatch(/would reject 1: .*\/signal/s);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    redriven: [good],
    invalid: [{ signalId: 'bad', invalidFields: expect.any(Object) }],
  });
  expect(stderr).toMatch(/^bad: would fail validation today: .*\/signal: /);
}, 60_000);
