import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { createServer } from 'node:tls';
import { Redis } from 'ioredis';

import { packageInfo } from '../../src/runtime/packageInfo.ts';
import type { Env } from '../support/commands.ts';
import { startConnectProxy } from '../support/connectProxy.ts';
import { SLACK_MS } from '../support/inTime.ts';
import { freePort, startRedis } from '../support/redisServer.ts';
import { empty, hang, startScriptedSeek } from '../support/scriptedSeek.ts';
import { selfSigned } from '../support/selfSigned.ts';
import { PLAYGROUND, useCheck } from './useCheck.ts';

const { check, run, closeAfterTest } = useCheck();

/** Accepts TLS connections, and passes their content on to `target`. */
const startTls = async (files: { cert: string; key: string }, target: URL) => {
  const [cert, key] = await Promise.all([readFile(files.cert), readFile(files.key)]);
  const server = createServer({ cert, key }, (socket) => {
    const inner = connect(Number(target.port), target.hostname).on('error', () => {});
    socket
      .on('error', () => {})
      .pipe(inner)
      .pipe(socket);
  });
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  return {
    url: `https://127.0.0.1:${port}${target.pathname}`,
    close: async () => server.close(),
  };
};

const redisWith = async (...args: string[]) => {
  const redis = await startRedis(undefined, args);
  closeAfterTest(redis.stop);
  return redis;
};

describe('check', () => {
  it('a safe deployment → exit code 0, and one line per finding', async () => {
    const { code, findings, env } = await check({});

    expect(findings.filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(code).toBe(0);
    const { stdout } = await run(['check'], env);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(findings.length);
    for (const [index, { level, subject }] of findings.entries()) {
      expect(lines[index]?.split(/ {2,}/)).toEqual([level, subject, expect.stringMatching(/./)]);
    }
  });

  it('a Redis that may evict → an error, exit code 1', async () => {
    const { url } = await redisWith('--maxmemory-policy', 'allkeys-lru', '--appendonly', 'no');
    const { code, of } = await check({ REDIS_URL: url });

    expect(code).toBe(1);
    expect(of('eviction')).toMatchObject([{ level: 'error' }]);
    expect(of('append-only file')).toMatchObject([{ level: 'warning' }]);
  });

  it('fewer replicas than WAIT_REPLICAS → an error, exit code 1', async () => {
    const { code, of } = await check({ WAIT_REPLICAS: '1' });

    expect(of('replicas')).toMatchObject([{ level: 'error' }]);
    expect(code).toBe(1);
  });

  it('a Redis that answers and refuses writes → an error with its refusal, and all other findings', async () => {
    const redis = await redisWith('--min-replicas-to-write', '1');

    const { code, of } = await check({ REDIS_URL: redis.url });

    expect(code).toBe(1);
    expect(of('writes')).toMatchObject([
      { level: 'error', message: expect.stringMatching(/refuses: NOREPLICAS .*min-replicas/) },
    ]);
    expect(of('Redis')).toMatchObject([{ level: 'ok' }]);
    expect(of('eviction')).toMatchObject([{ level: 'ok' }]);
  });

  it('an invalid configuration → every problem is named, and the rest is checked', async () => {
    const { code, of } = await check({
      WORKER_CONCURRENCY: 'many',
      LOG_LEVEL: 'loud',
      API_KEYS: '',
      BOARD_VIEWER_USERNAME: 'a:b',
      BOARD_VIEWER_PASSWORD: 'wrong-without-its-name',
    });

    expect(code).toBe(1);
    expect(of('configuration')).toMatchObject([
      { level: 'error', message: expect.stringMatching(/^WORKER_CONCURRENCY/) },
      { level: 'error', message: expect.stringMatching(/^BOARD_VIEWER_USERNAME must/) },
      { level: 'error', message: expect.stringMatching(/^LOG_LEVEL/) },
      { level: 'warning', message: expect.stringMatching(/^API_KEYS/) },
    ]);
    expect(of('Redis')).toMatchObject([{ level: 'ok' }]);
  });

  it('no credentials → warnings, exit code 0', async () => {
    const { code, of } = await check({ SEEK_CLIENT_ID: '', SEEK_CLIENT_SECRET: '' });

    expect(code).toBe(0);
    expect(of('configuration').map(({ level }) => level)).toEqual(['warning', 'warning']);
    expect(of('credentials')).toEqual([]);
  });

  it.each<{ what: string; env: Env; levels: string[] }>([
    { what: 'not set', env: { SEEK_USER_AGENT: '' }, levels: ['warning'] },
    {
      what: 'set to that of an older version',
      env: { SEEK_USER_AGENT: `${packageInfo.name}/0.0.1` },
      levels: ['warning'],
    },
    { what: 'of another product', env: {}, levels: ['ok'] },
    {
      what: 'not set, for the Playground',
      env: { SEEK_USER_AGENT: '', ...PLAYGROUND },
      levels: ['ok'],
    },
  ])('SEEK_USER_AGENT $what → $levels, exit code 0', async ({ env, levels }) => {
    const { code, of } = await check(env);

    const findings = of('configuration');
    expect([code, findings.map(({ level }) => level)]).toEqual([0, levels]);
    for (const { level, message } of findings) {
      expect(/^SEEK_USER_AGENT is /.test(message)).toBe(level === 'warning');
    }
  });

  it.each([
    { status: 400, level: 'error', exit: 1 },
    { status: 401, level: 'error', exit: 1 },
    { status: 403, level: 'error', exit: 1 },
    { status: 429, level: 'warning', exit: 0 },
    { status: 503, level: 'warning', exit: 0 },
  ])(
    'status $status from the token endpoint → $level, exit code $exit',
    async ({ status, level, exit }) => {
      const { code, of } = await check({}, [empty(status)]);

      expect(of('credentials')).toMatchObject([
        { level, message: expect.stringMatching(`${status}`) },
      ]);
      expect(code).toBe(exit);
    },
  );

  it('neither Redis nor SEEK responds → ends in time with an error and a warning', async () => {
    const redis = await redisWith();
    redis.freeze();
    const { code, of, ms } = await check({ REDIS_URL: redis.url }, () => hang());

    expect(code).toBe(1);
    expect(of('Redis')).toMatchObject([{ level: 'error' }]);
    expect(of('credentials')).toMatchObject([{ level: 'warning' }]);
    expect(ms).toBeLessThan(10_000 + SLACK_MS);
  });

  it('Redis unreachable, or REDIS_URL unset → an error without the password', async () => {
    const unreachable = await check({
      REDIS_URL: `redis://:password@127.0.0.1:${await freePort()}`,
    });
    expect([unreachable.code, unreachable.of('Redis')]).toMatchObject([
      1,
      [
        {
          level: 'error',
          message: expect.stringMatching(
            /^Redis at 127\.0\.0\.1:\d+ is not reachable: .*ECONNREFUSED/,
          ),
        },
      ],
    ]);
    expect(JSON.stringify(unreachable.findings)).not.toContain('password');

    const unset = await check({ REDIS_URL: '' });
    expect([unset.code, unset.of('configuration')]).toMatchObject([1, [{ level: 'error' }]]);
  });

  it('an untrusted certificate → an error with the reason; with NODE_EXTRA_CA_CERTS → ok', async () => {
    const tls = await selfSigned();
    closeAfterTest(tls.stop);
    const port = await freePort();
    await redisWith(
      '--tls-port',
      `${port}`,
      '--tls-auth-clients',
      'no',
      '--tls-cert-file',
      tls.cert,
      '--tls-key-file',
      tls.key,
      '--tls-ca-cert-file',
      tls.cert,
    );
    const url = `rediss://:password@127.0.0.1:${port}`;

    const { of } = await check({ REDIS_URL: url });
    expect(of('Redis').map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /is not reachable: DEPTH_ZERO_SELF_SIGNED_CERT: self-signed.*NODE_EXTRA_CA_CERTS/,
      ),
    ]);
    const status = await run(['status'], { REDIS_URL: url });
    expect([status.code, status.stderr]).toEqual([
      1,
      expect.stringContaining('is not reachable: DEPTH_ZERO_SELF_SIGNED_CERT'),
    ]);

    const trusted = await check({
      REDIS_URL: `rediss://127.0.0.1:${port}`,
      NODE_EXTRA_CA_CERTS: tls.cert,
    });
    expect(trusted.of('Redis')).toMatchObject([{ level: 'ok' }]);
  });

  it('a Redis user without CONFIG → a warning; a wrong password → an error with the reply of Redis', async () => {
    const redis = await redisWith();
    const admin = new Redis(redis.url);
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '+@all', '-config');
    admin.disconnect();
    const { host } = new URL(redis.url);

    const limited = await check({ REDIS_URL: `redis://app:pw@${host}` });
    expect(limited.of('fsync')).toMatchObject([{ level: 'warning' }]);
    expect(limited.code).toBe(0);
    const refused = await check({ REDIS_URL: `redis://app:wrong@${host}` });
    expect(refused.of('Redis')).toMatchObject([
      { level: 'error', message: expect.stringMatching(/WRONGPASS/) },
    ]);
  });

  it('short secrets → a warning for each, without the secret', async () => {
    const { of, code, findings } = await check({
      API_KEYS: 'ats:abc1234,crm:long-enough-key',
      BOARD_USERNAME: 'ops',
      BOARD_PASSWORD: 'abc1234',
    });

    expect(of('secrets')).toEqual([
      {
        subject: 'secrets',
        level: 'warning',
        message: expect.stringMatching(/^The key ats of API_KEYS has fewer/),
      },
      {
        subject: 'secrets',
        level: 'warning',
        message: expect.stringMatching(/^BOARD_PASSWORD has fewer/),
      },
    ]);
    expect(JSON.stringify(findings)).not.toContain('abc1234');
    expect(code).toBe(0);
  });

  it('no proxy → says so', async () => {
    const { of } = await check({ NO_PROXY: 'seek.com' });

    expect(of('proxy')).toEqual([
      { subject: 'proxy', level: 'ok', message: 'SEEK_API_URL: none, SEEK_AUTH_URL: none' },
    ]);
  });

  it('a proxy in front of SEEK with TLS → is named without its credentials, and used', async () => {
    const tls = await selfSigned();
    const proxy = await startConnectProxy();
    closeAfterTest(tls.stop);
    closeAfterTest(proxy.close);
    const seek = await startScriptedSeek({});
    closeAfterTest(seek.close);
    const secure = await startTls(tls, new URL(seek.authUrl));
    closeAfterTest(secure.close);
    const env = {
      SEEK_AUTH_URL: secure.url,
      NODE_EXTRA_CA_CERTS: tls.cert,
      https_proxy: proxy.url.replace('//', '//user:proxy-s3cret@'),
    };

    const { of, findings } = await check(env);
    expect(of('proxy')).toMatchObject([
      { level: 'ok', message: `SEEK_API_URL: none, SEEK_AUTH_URL: ${proxy.url}/` },
    ]);
    expect(of('credentials')).toMatchObject([{ level: 'ok' }]);
    expect(proxy.tunnels).toMatchObject([{ target: new URL(secure.url).host }]);
    expect(JSON.stringify(findings)).not.toContain('proxy-s3cret');

    proxy.behave(407);
    const refused = await check(env);
    expect(refused.of('credentials')).toMatchObject([
      { level: 'warning', message: expect.stringContaining(`proxy ${proxy.host} answered 407`) },
    ]);
  });
});
