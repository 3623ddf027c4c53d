import type { SafetyFinding } from '../../src/queue/backend.ts';
import { buildCommands, type Commands, type Env } from '../support/commands.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { type Script, startScriptedSeek } from '../support/scriptedSeek.ts';
import { API_KEY } from '../support/startDispatcher.ts';

export const PLAYGROUND = { SEEK_AUDIENCE: 'https://test.graphql.seek.com' };
export const SECRET = 'scripted-client-secret';

type CheckOptions = { answers?: Script; args?: string[] };

/** Call once in a test file: builds the commands, and starts a safe Redis for all its tests. */
export const useCheck = () => {
  let commands: Commands;
  let safe: RedisServer;
  const closing: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    [commands, safe] = await Promise.all([
      buildCommands(),
      startRedis(undefined, ['--appendfsync', 'always']),
    ]);
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await commands.stop();
    await safe.stop();
  });

  const check = async (
    env: Env,
    token: Script = [],
    { answers = [], args = [] }: CheckOptions = {},
  ) => {
    const seek = await startScriptedSeek({ token, answers });
    closing.push(seek.close);
    const defaults = { REDIS_URL: safe.url, API_KEYS: API_KEY, SEEK_USER_AGENT: 'our-ats/1.2.3' };
    const all = { ...seek.env, ...defaults, ...env };
    const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
    const began = performance.now();
    const { code, stdout, stderr } = await commands.run(['check', ...args, '--json'], given);
    expect(stdout + stderr).not.toContain(SECRET);
    const findings: SafetyFinding[] = JSON.parse(stdout);
    const of = (subject: string) => findings.filter((finding) => finding.subject === subject);

    return { code, findings, of, ms: performance.now() - began, env: given, seek };
  };

  return {
    check,
    run: (args: string[], env: Env) => commands.run(args, env),
    /** Called after the test. */
    closeAfterTest: (close: () => Promise<unknown>) => closing.push(close),
  };
};
