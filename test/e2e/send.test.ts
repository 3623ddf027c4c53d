import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildApplicationComplete } from '../support/buildSignal.ts';
import { buildCommands, type Commands } from '../support/commands.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { waitFor } from '../support/waitFor.ts';

const SECRET = 'a-seek-token-of-send';

let commands: Commands;
let folder: string;
let redis: RedisServer;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  commands = await buildCommands();
});
beforeEach(async () => {
  redis = await startRedis();
  folder = await mkdtemp(join(tmpdir(), 'seek-send-'));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await redis.stop();
  await rm(folder, { recursive: true });
});
afterAll(() => commands.stop());

const line = (number: number): string =>
  JSON.stringify(buildApplicationComplete({ token: `${SECRET}-${number}` }));
const lines = (count: number): string[] => Array.from({ length: count }, (_, n) => line(n));

const setup = async (content: string | Buffer) => {
  const file = join(folder, 'signals.ndjson');
  await writeFile(file, content);
  const env = { REDIS_URL: redis.url };
  const send = (...args: string[]) => commands.run(['send', ...args], env);
  const counts = async () =>
    JSON.parse((await commands.run(['status', '--json'], env)).stdout).counts;
  return { file, env, send, counts };
};

describe('send', () => {
  it('the same file twice → each line is accepted once', async () => {
    const { file, send, counts } = await setup(lines(1_200).join('\n'));

    const [first, second] = [await send(file), await send(file, '--json')];

    expect(first.stdout).toMatch(/^accepted 1200, duplicates 0, rejected 0 of 1200 in [\d.]+ s\n$/);
    expect([first.code, first.stderr, second.code]).toEqual([0, '', 0]);
    expect(JSON.parse(second.stdout)).toEqual({
      lines: 1_200,
      accepted: 0,
      duplicates: 1_200,
      rejected: 0,
      seconds: expect.any(Number),
    });
    expect(await counts()).toMatchObject({ waiting: 1_200 });
  });

  it('invalid lines → reported by number, and written unchanged to the file of rejects', async () => {
    const broken = Buffer.from(line(9)).fill(0xff, 30, 31);
    const wrong = '{"typeCode":"ApplicationComplete", "token":" spaced"}';
    const { file, send } = await setup(
      Buffer.concat([
        Buffer.from(`\ufeff${line(1)}\r\n\n${wrong}\n{"typeCode":\n`),
        broken,
        Buffer.from(`\n${line(2)}\n[1]\n${'x'.repeat(1024 * 1024 + 1)}\n${line(1)}\n`),
      ]),
    );

    const { code, stdout, stderr } = await send(file, '--json');

    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      lines: 8,
      accepted: 2,
      duplicates: 1,
      rejected: 5,
      rejectsFile: `${file}.rejects`,
    });
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^line 3: \/token: /),
      'line 4: Is not JSON in UTF-8',
      'line 5: Is not JSON in UTF-8',
      'line 7: Expected an object',
      'line 8: Is over 1 MiB long, and is not written to the file of rejects',
      '',
    ]);
    const rejects = await readFile(`${file}.rejects`);
    expect(rejects).toEqual(
      Buffer.concat([Buffer.from(`${wrong}\n{"typeCode":\n`), broken, Buffer.from('\n[1]\n')]),
    );
    expect((await stat(`${file}.rejects`)).mode & 0o777).toBe(0o600);
    expect(stderr + stdout).not.toContain(SECRET);

    await writeFile(`${file}.rejects`, `${line(3)}\n`);
    expect(await send(file)).toMatchObject({ code: 1 });
    expect(await readFile(`${file}.rejects`, 'utf8')).toBe(`${line(3)}\n`);
    expect(await readFile(`${file}.rejects.2`)).toEqual(rejects);
    expect(await send(`${file}.rejects`)).toMatchObject({ code: 0 });
  });

  it('Redis goes away → reports the line it stopped at; --from-line → sends the rest', async () => {
    const { env, send, counts } = await setup('');
    const file = join(folder, 'many.ndjson');
    const count = 100_000;
    await writeFile(file, lines(count).join('\n'));
    const sending = commands.start(['send', file], env);
    // The second batch of 500 is sent after the first has its results, so that some lines are accepted.
    await waitFor(async () => (await counts()).waiting > 500);
    await redis.kill();
    const code = await sending.exited;
    await redis.restart();

    const [, stoppedAt] = /Stopped before line (\d+): /.exec(sending.written.stderr) ?? [];
    expect([code, Number(stoppedAt) > 1]).toEqual([1, true]);

    const rest = JSON.parse((await send(file, '--from-line', `${stoppedAt}`, '--json')).stdout);
    expect(rest).toMatchObject({ lines: count - Number(stoppedAt) + 1, rejected: 0 });
    expect(await counts()).toMatchObject({ waiting: count });
  }, 60_000);

  it('SIGTERM → exit code 1, with the accepted count and the line it stopped at', async () => {
    const { file, env, counts } = await setup(lines(100_000).join('\n'));
    const sending = commands.start(['send', file, '--json'], env);
    await waitFor(async () => (await counts()).waiting > 0);

    expect(await sending.end()).toMatchObject({ code: 1 });

    const { accepted, stoppedAtLine } = JSON.parse(sending.written.stdout);
    expect(stoppedAtLine).toBe(accepted + 1);
    expect(await counts()).toMatchObject({ waiting: accepted });
  }, 60_000);

  it('- as the file → reads standard input', async () => {
    const { env, counts } = await setup('');
    const sending = commands.start(['send', '-'], env, `${lines(3).join('\n')}\n`);

    expect(await sending.exited).toBe(0);
    expect(await counts()).toMatchObject({ waiting: 3 });
  });

  it('a Redis that may evict signals → exit code 2, and nothing is accepted', async () => {
    const { file, send, counts } = await setup(line(1));
    await redis.stop();
    redis = await startRedis(Number(new URL(redis.url).port), [
      '--maxmemory-policy',
      'allkeys-lru',
    ]);

    const { code, stderr } = await send(file);

    expect([code, stderr]).toEqual([2, expect.stringContaining('allkeys-lru')]);
    expect(await counts()).toMatchObject({ waiting: 0 });
  });

  it.each([
    ['a JSON list', '[\n{}\n]', [], /Expected one signal per line/],
    ['--from-line 0', '', ['--from-line', '0'], /--from-line/],
  ])('%s → exit code 2', async (_, content, args, message) => {
    const { file, send } = await setup(content);

    const { code, stderr } = await send(file, ...args);

    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  it('a missing file or a folder → exit code 2', async () => {
    const { send } = await setup('');

    const [none, directory] = [await send(join(folder, 'none')), await send(folder)];

    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('ENOENT')]);
    expect([directory.code, directory.stderr]).toEqual([2, expect.stringContaining('is a folder')]);
  });
});
