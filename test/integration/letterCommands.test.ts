import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Queue } from 'bullmq';

import { buildApplicationComplete } from '../support/buildSignal.ts';
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
  folder = await mkdtemp(join(tmpdir(), 'seek-letters-'));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});
afterAll(() => commands.stop());

/** A running `dev`, or the API and a worker on a Redis of their own, with a SEEK that refuses. */
const setup = async (kind: 'Redis' | 'dev', more: Env = {}) => {
  const seek = await startScriptedSeek({ answers: () => refused('FORBIDDEN') });
  closing.push(seek.close);
  const env: Env = {
    ...{ ...seek.env, API_KEYS: `ats:${API_KEY}`, API_PORT: '0', METRICS_PORT: '0' },
    ...{ BOARD_PORT: '0', SHUTDOWN_TIMEOUT_MS: '5000', ...more },
  };
  const start = (command: string) => {
    const started = commands.start([command], env);
    closing.push(async () => started.isRunning() && started.end('SIGKILL'));
    return started;
  };
  const startAll = async (): Promise<string> => {
    if (kind === 'dev') {
      env.EMBEDDED_PATH = join(folder, `queue-${closing.length}`);
      return start('dev').says(/API +(http:\S+)/);
    }
    const redis = await startRedis();
    closing.push(redis.stop);
    env.REDIS_URL = redis.url;
    await start('worker').says(/Worker started/);
    return start('api').says(/"url":"([^"]+)"/);
  };
  const url = await startAll();
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await commands.run(args, env);
    return { code, stderr, stdout, json: () => JSON.parse(stdout) };
  };
  const counts = async () => (await run('status', '--json')).json().counts;

  return {
    ...{ seek, env, url, run, counts },
    /** The ids of signals that were given up. */
    bury: async (count: number): Promise<string[]> => {
      const signals = Array.from({ length: count }, () =>
        buildApplicationComplete({ token: newToken() }),
      );
      const answer = await fetch(`${url}/signals/batch`, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}` },
        body: JSON.stringify({ signals }),
      });
      const { results }: { results: Accepted[] } = JSON.parse(await answer.text());
      await waitFor(async () => (await counts()).dead === count);
      return results.map(({ signalId }) => signalId);
    },
  };
};

describe.each(['Redis', 'dev'] as const)('dead-letters redrive over %s', (kind) => {
  it('says beforehand what would go, and does it, in the name of who asks', async () => {
    const { seek, run, bury, counts } = await setup(kind);
    const [one = '', ...others] = await bury(3);
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
      ...{ code: 0, stdout: 'redriven 1 of 1\n' },
    });
    expect((await run('dead-letters', 'redrive', '--json')).json()).toEqual({
      ...{ redriven: expect.arrayContaining(others), invalid: [] },
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

it('dead-letters redrive names what would not be accepted today, and goes on', async () => {
  const { seek, env, run, bury, counts } = await setup('Redis');
  const [good = ''] = await bury(1);
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

  expect(dry.stdout).toMatch(/would refuse 1: .*\/signal/s);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    redriven: [good],
    invalid: [{ signalId: 'bad', invalidFields: expect.any(Object) }],
  });
  expect(stderr).toMatch(/^bad: would not be accepted today: .*\/signal: /);
}, 60_000);
