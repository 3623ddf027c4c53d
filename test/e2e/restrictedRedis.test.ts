import { Redis } from 'ioredis';

import type { QueueUse, SafetyFinding } from '../../src/queue/backend.ts';
import { commandNames } from '../../src/queue/redis/access.ts';
import { buildPositionStatusUpdate } from '../support/buildSignal.ts';
import { startPostgres } from '../support/postgresServer.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { html, refused } from '../support/scriptedSeek.ts';
import { API_KEY } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Deployments, openDeployments, waitUntilDelivered } from './deployment.ts';

const REFUSED_POSITION = 'position-of-another-hirer';

let deployments: Deployments;
let redis: RedisServer;
let admin: Redis;
beforeAll(async () => {
  [deployments, redis] = await Promise.all([
    openDeployments(),
    // Each line tells of one refusal.
    startRedis(undefined, ['--acllog-max-len', '1000', '--appendfsync', 'always']),
  ]);
  admin = new Redis(redis.url);
});
beforeEach(() => admin.call('ACL', 'LOG', 'RESET'));
afterEach(() => deployments.closeAll());
afterAll(async () => {
  admin.disconnect();
  await redis.stop();
  await deployments.stop();
});

/** Makes a user with these rules, and returns the address with its login. */
const createUser = async (name: string, rules: string[]): Promise<string> => {
  await admin.call('ACL', 'SETUSER', name, 'reset', 'on', '>pw', ...rules);
  return `redis://${name}:pw@127.0.0.1:${redis.port}`;
};

/** A user that may run these commands on the keys of the queue, and nothing else. */
const createLeastUser = (prefix: string, name: string, uses: QueueUse[] = []) =>
  createUser(name, [
    'resetchannels',
    `~${prefix}:*`,
    ...[...new Set(commandNames(uses))].map((command) => `+${command}`),
  ]);

/** The refusals that Redis has recorded: user, and command or key. */
const refusals = async (): Promise<string[]> => {
  const log = await admin.call('ACL', 'LOG', '1000');
  return (Array.isArray(log) ? log : []).flatMap((entry: string[]) => {
    const field = (name: string) => entry[entry.indexOf(name) + 1] ?? '';
    // Connections name themselves to Redis, and the inspection asks for settings. Neither is needed.
    return ['client|setinfo', 'client|setname', 'config|get'].includes(field('object'))
      ? []
      : [`${field('username')}: ${field('object')}`];
  });
};

describe('users with the least permissions', () => {
  it('api, worker, relay and commands do all their work → Redis refuses nothing', async () => {
    const postgres = await startPostgres();
    deployments.closing.push(postgres.stop);
    const { env, start, startWorker, startApi, seek } = await deployments.setup({
      answers: ({ text }, number) => {
        if (text.includes(REFUSED_POSITION)) return refused('FORBIDDEN');
        return number === 1 ? html(503) : undefined;
      },
    });
    const prefix = env.QUEUE_PREFIX ?? '';
    const [forApi, forWorker, forRelay] = await Promise.all([
      createLeastUser(prefix, 'api'),
      createLeastUser(prefix, 'worker', ['work']),
      createLeastUser(prefix, 'relay', ['outcomes']),
    ]);
    const all = { ...env, REDIS_URL: forApi, DATABASE_URL: postgres.url };
    const run = (...args: string[]) => deployments.commands.run(args, all);
    expect(await run('outbox', 'migrate')).toMatchObject({ code: 0 });
    const relay = start('relay', {
      REDIS_URL: forRelay,
      DATABASE_URL: postgres.url,
      OUTBOX_TRACK_OUTCOMES: 'true',
    });
    const worker = await startWorker({ REDIS_URL: forWorker });
    const { url, send, find } = await startApi({ REDIS_URL: forApi });
    await relay.waitForOutput(/Relay started/);
    const call = (method: string, path: string, body?: object) =>
      fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${API_KEY}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });

    const recorded = await call('PUT', '/applications/a-1/seek-token', {
      token: deployments.createToken(),
      source: 'linkOut',
    });
    const complete = deployments.buildComplete();
    const accepted = await send([
      complete,
      { typeCode: 'ApplicationComplete', applicationId: 'a-1' },
    ]);
    await waitUntilDelivered(
      find,
      accepted.map(({ signalId }) => signalId),
    );
    const [again] = await send([complete]);
    const dead = await send(
      [1, 2].map((n) =>
        buildPositionStatusUpdate({ positionProfileIds: [`${REFUSED_POSITION}-${n}`] }),
      ),
    );
    for (const { signalId } of dead) {
      await waitFor(async () => (await find(signalId)).state === 'dead');
    }
    const [first = '', second = ''] = dead.map(({ signalId }) => signalId);
    const statuses = [
      recorded.status,
      (await call('POST', `/dead-letters/${first}/redrive`)).status,
    ];
    await waitFor(async () => {
      const { state, redrives } = await find(first);
      return state === 'dead' && redrives === 1;
    });
    const codes: unknown[] = [];
    for (const args of [
      ['status'],
      ['show', first],
      ['find', '--application', 'a-1'],
      ['dead-letters', 'list'],
      ['dead-letters', 'discard', second, '--reason', 'test'],
      ['tokens', 'expiring'],
      ['tokens', 're-encrypt'],
    ]) {
      codes.push((await run(...args)).code);
    }
    statuses.push((await call('DELETE', '/applications/a-1/seek-token')).status);
    const ended = await Promise.all([relay, worker].map((started) => started.end()));

    expect(await refusals()).toEqual([]);
    expect(again).toMatchObject({ duplicate: true, state: 'delivered' });
    expect(statuses).toEqual([204, 202, 204]);
    expect(codes.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(ended.map(({ code }) => code)).toEqual([0, 0]);
    expect(seek.requests.length).toBeGreaterThan(4);
  });
});

const PROCESSES = ['worker', 'api'];

describe('a user without a command that is needed', () => {
  it.each([
    { rules: ['~*', '+@all', '-@dangerous'], names: /INFO .*grant \+info/ },
    {
      rules: ['~*', '+@all', '-time', '-evalsha'],
      names: /TIME, EVALSHA .*grant \+time \+evalsha/,
    },
    { rules: ['~*', '+@read'], names: /SET, PING, INFO, .*grant \+set/ },
    { rules: ['~other:*', '+@all'], names: /keys under QUEUE_PREFIX .*grant ~QUEUE_PREFIX:\*/ },
  ])(
    '$rules → worker and api end with exit code 2 and name it, and check reports an error',
    async ({ rules, names }) => {
      const { env } = await deployments.setup();
      const restricted = { ...env, REDIS_URL: await createUser('app', rules) };

      for (const command of PROCESSES) {
        const { code, stderr } = await deployments.commands.run([command], restricted);
        expect([command, code]).toEqual([command, 2]);
        expect(stderr).toMatch(names);
      }
      const { code, stdout } = await deployments.commands.run(['check', '--json'], restricted);
      const findings: SafetyFinding[] = JSON.parse(stdout);

      expect(code).toBe(1);
      expect(findings.filter(({ subject }) => subject === 'permissions')).toEqual([
        { subject: 'permissions', level: 'error', message: expect.stringMatching(names) },
      ]);
    },
  );

  it('a wrong password → worker and api end with exit code 2, in the words of Redis', async () => {
    const { env } = await deployments.setup();
    const REDIS_URL = `redis://app:wrong@127.0.0.1:${redis.port}`;

    for (const command of PROCESSES) {
      const { code, stderr } = await deployments.commands.run([command], { ...env, REDIS_URL });
      expect([command, code]).toEqual([command, 2]);
      expect(stderr).toMatch(/refuses: WRONGPASS/);
    }
  });

  it('Redis refuses CONFIG in its own words, and may evict → INFO tells, and check shows the rest', async () => {
    const hosted = await startRedis(undefined, [
      ...['--maxmemory-policy', 'allkeys-lru'],
      ...['--rename-command', 'CONFIG', 'not-for-you'],
    ]);
    deployments.closing.push(hosted.stop);
    const { env } = await deployments.setup();

    const started = await deployments.commands.run(['api'], { ...env, REDIS_URL: hosted.url });
    const { stdout } = await deployments.commands.run(['check'], { ...env, REDIS_URL: hosted.url });

    expect(started).toMatchObject({ code: 2, stderr: expect.stringMatching(/allkeys-lru/) });
    expect(stdout).toMatch(/error +eviction/);
    expect(stdout).toMatch(
      /warning +fsync +unknown: Redis refuses CONFIG GET \(ERR unknown command/,
    );
    expect(stdout).toMatch(/ok +permissions/);
  });
});
