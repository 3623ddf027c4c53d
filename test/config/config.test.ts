import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  apiPort,
  ConfigError,
  describeConfig,
  loadConfig,
  tracesUrlOf,
} from '../../src/config/config.ts';
import { packageInfo } from '../../src/runtime/packageInfo.ts';

/** The lines of the error. None if the environment is valid. */
const problems = (env: NodeJS.ProcessEnv, required: Parameters<typeof loadConfig>[1] = []) => {
  try {
    loadConfig(env, required);
    return [];
  } catch (err) {
    if (err instanceof ConfigError) return err.message.split('\n');
    throw err;
  }
};

describe('loadConfig', () => {
  it('an empty environment → every default', () => {
    expect(loadConfig({})).toEqual(
      expect.objectContaining({
        QUEUE_PREFIX: '{seek}',
        SEEK_API_URL: 'https://graphql.seek.com/graphql',
        SEEK_AUTH_URL: 'https://auth.seek.com/oauth/token',
        SEEK_AUDIENCE: 'https://graphql.seek.com',
        SEEK_USER_AGENT: `${packageInfo.name}/${packageInfo.version}`,
        SEEK_TIMEOUT_MS: 10_000,
        BATCH_SIZE: 1,
        BATCH_LINGER_MS: 5,
        DELIVERY_SUSPEND_MAX_MS: 60_000,
        WAIT_REPLICAS: 0,
        ALLOW_UNSAFE_REDIS: false,
        RETRY_MAX_ATTEMPTS: 25,
        RETRY_BASE_MS: 2_000,
        RETRY_MAX_MS: 10_800_000,
        RETRY_MAX_AGE_MS: 259_200_000,
        DEDUPE_WINDOW_MS: 86_400_000,
        KEEP_DELIVERED_MS: 86_400_000,
        KEEP_DELIVERED_COUNT: 10_000,
        ALLOW_UNKNOWN_TYPES: false,
        MAX_SIGNAL_BYTES: 65_536,
        API_HOST: '127.0.0.1',
        BOARD_HOST: '127.0.0.1',
        BOARD_PORT: 3001,
        BOARD_READ_ONLY: false,
        SHUTDOWN_TIMEOUT_MS: 25_000,
        LOG_LEVEL: 'info',
        LOG_BODIES: false,
      }),
    );
  });

  it('an empty environment → no value for variables that must be chosen', () => {
    const config = loadConfig({});

    for (const name of [
      'REDIS_URL',
      'SEEK_CLIENT_ID',
      'SEEK_CLIENT_SECRET',
      'API_KEYS',
      'BOARD_USERNAME',
      'BOARD_PASSWORD',
    ]) {
      expect(config).not.toHaveProperty(name);
    }
  });

  it('numbers, flags and texts → typed values', () => {
    const env = { WORKER_CONCURRENCY: '7', LOG_BODIES: 'true', QUEUE_PREFIX: '{mine}' };

    expect(loadConfig(env)).toMatchObject({
      WORKER_CONCURRENCY: 7,
      LOG_BODIES: true,
      QUEUE_PREFIX: '{mine}',
    });
  });

  it('other variables → are ignored', () => {
    expect(loadConfig({ PATH: '/bin', HOME: '/root' })).toEqual(loadConfig({}));
  });

  it('an empty value → counts as unset', () => {
    const env = {
      REDIS_URL: '',
      WORKER_CONCURRENCY: '',
      LOG_LEVEL: '',
      API_KEYS: '',
      API_KEYS_FILE: '',
    };

    expect(loadConfig(env)).toEqual(loadConfig({}));
    expect(problems({ REDIS_URL: '' }, ['REDIS_URL'])).toEqual(['REDIS_URL is required']);
  });

  it('the configuration → is frozen', () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true);
  });
});

describe('an invalid environment', () => {
  it.each([
    ['BOARD_VIEWER_USERNAME', 'BOARD_VIEWER_PASSWORD'],
    ['BOARD_VIEWER_PASSWORD', 'BOARD_VIEWER_USERNAME'],
  ])('with %s but not %s → is rejected', (name, missing) => {
    expect(problems({ [name]: 'viewer' }, ['REDIS_URL'])).toEqual([
      `${name} is set without ${missing}`,
      'REDIS_URL is required',
    ]);
  });

  it('with several problems → all are reported, one per line', () => {
    const env = {
      REDIS_URL: 'http://redis',
      WORKER_CONCURRENCY: '0',
      LOG_LEVEL: 'loud',
      LOG_BODIES: 'yes',
      SEEK_CLIENT_ID: '',
    };

    expect(problems(env, ['REDIS_URL', 'SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET']).toSorted()).toEqual(
      [
        'LOG_BODIES must be true or false',
        'LOG_LEVEL must be trace, debug, info, warn, error, fatal or silent',
        'REDIS_URL must be a URL: redis://host:6379 or rediss://…',
        'SEEK_CLIENT_ID is required',
        'SEEK_CLIENT_SECRET is required',
        'WORKER_CONCURRENCY must be at least 1',
      ],
    );
  });

  it.each([
    { WORKER_CONCURRENCY: '1001' },
    { BATCH_SIZE: '0' },
    { BATCH_SIZE: '101' },
    { RATE_LIMIT_PER_SECOND: '0' },
    { WAIT_REPLICAS: '-1' },
    { REDIS_SENTINELS: 'one:26379,,two' },
    { REDIS_SENTINELS: 'one:99999' },
    { WORKER_CONCURRENCY: '5.5' },
    { WORKER_CONCURRENCY: '-1' },
    { WORKER_CONCURRENCY: '1e2' },
    { WORKER_CONCURRENCY: '0x10' },
    { RETRY_MAX_ATTEMPTS: '0' },
    { RETRY_BASE_MS: '0' },
    { SEEK_TIMEOUT_MS: '10s' },
    { API_PORT: '65536' },
    { PORT: 'http' },
    { ALLOW_UNKNOWN_TYPES: 'TRUE' },
    { BOARD_READ_ONLY: '1' },
    { REDIS_URL: 'localhost:6379' },
    { REDIS_URL: 'redis' },
    { SEEK_API_URL: 'graphql.seek.com' },
    { SEEK_AUTH_URL: 'ftp://auth.seek.com' },
    { SEEK_USER_AGENT: 'ü/1' },
  ])('%j → the variable is named', (env) => {
    const [name] = Object.keys(env);

    expect(problems(env)).toEqual([expect.stringMatching(new RegExp(`^${name} must be `))]);
  });

  it.each([
    { REDIS_URL: 'http://user:s3cret@redis' },
    { API_KEYS: 'ats:s3cret key' },
    { WORKER_CONCURRENCY: 's3cret' },
    { SEEK_CLIENT_SECRET: 's3cret', SEEK_CLIENT_SECRET_FILE: '/nowhere' },
  ])('%j → the value is not repeated', (env) => {
    const reported = problems(env);

    expect(reported).toHaveLength(1);
    expect(reported.join()).not.toContain('s3cret');
  });
});

describe('a value that no setting can be meant to hold', () => {
  it.each([
    ['QUEUE_PREFIX', '{seek}\n', 'must not hold a line break'],
    ['SEEK_CLIENT_SECRET', 's3cret\r', 'must not hold a line break'],
    ['SEEK_CLIENT_SECRET', 's3c\u2028ret', 'must not hold a line break'],
    ['BOARD_PASSWORD', 's3cret\t', 'must not hold a control character'],
    ['BOARD_PASSWORD', 's3cret\u0000', 'must not hold a control character'],
    ['WORKER_CONCURRENCY', ' 5', 'must not begin or end with white space'],
    ['SEEK_CLIENT_SECRET', 's3cret ', 'must not begin or end with white space'],
    ['QUEUE_PREFIX', ' ', 'must not begin or end with white space'],
    ['SEEK_CLIENT_SECRET', '\u00a0s3cret', 'must not begin or end with white space'],
    ['SEEK_AUDIENCE', '"https://graphql.seek.com"', 'must not be enclosed in quotes: remove them'],
    ['SEEK_CLIENT_SECRET', "'s3cret'", 'must not be enclosed in quotes: remove them'],
    ['QUEUE_PREFIX', '""', 'must not be enclosed in quotes: remove them'],
    ['BOARD_USERNAME', '\u201cops\u201d', 'must not be enclosed in quotes: remove them'],
    ['API_KEYS', '"ats:s3cret","crm:s3cret"', 'must not be enclosed in quotes: remove them'],
    ['API_KEYS', 'ats:s3cret\r', 'must not hold a line break'],
    ['API_KEYS', 'ats:"s3cret"', 'must be keys that are not enclosed in quotes'],
    ['API_KEYS', 'ats:sha256=abc', 'must have 64 hexadecimal digits after sha256='],
    ['QUEUE_PREFIX', '{seek}\u200b', 'must not hold the invisible character U+200B'],
    ['SEEK_CLIENT_SECRET', '\ufeffs3cret', 'must not hold the invisible character U+FEFF'],
    ['SEEK_CLIENT_SECRET', 's3\ufffdcret', 'must be UTF-8'],
    ['QUEUE_PREFIX', '{my seek}', 'must hold no white space and no quotes'],
    ['QUEUE_PREFIX', '{seek}\\n', 'must hold none of \\ $ < > * ? [ ]'],
    ['QUEUE_PREFIX', '$QUEUE_PREFIX', 'must hold none of \\ $ < > * ? [ ]'],
    ['QUEUE_PREFIX', '{seek}\u200d', 'must hold ASCII characters only'],
    ['QUEUE_PREFIX', '{}', 'must name a hash tag between the braces'],
    ['SEEK_AUDIENCE', '"https://graphql.seek.com', 'must hold no white space and no quotes'],
    ['SEEK_USER_AGENT', 'a\r\nX-Evil: 1', 'must not hold a line break'],
    ['API_HOST', 'http://0.0.0.0', 'must be a host name or an IP address'],
    ['API_HOST', '0.0.0.0:3000', 'must be a host name or an IP address'],
  ])('%s=%j → %s', (name, value, problem) => {
    const reported = problems({ [name]: value, BOARD_VIEWER_PASSWORD: '' });

    expect(reported).toContain(`${name} ${problem}`);
    expect(reported.join()).not.toContain('s3cret');
  });

  it.each([
    { SEEK_CLIENT_SECRET: 'it\'s "quoted" inside' },
    { BOARD_PASSWORD: '"begins only' },
    { BOARD_PASSWORD: 'with a space, ü and 👩‍🔧' },
    { API_HOST: '::1' },
    { API_HOST: 'fe80::1%eth0' },
    { NO_PROXY: ' localhost, .corp\n' },
  ])('%j → is accepted', (env) => {
    expect(loadConfig(env)).toMatchObject(env);
  });
});

describe('the variables of a proxy', () => {
  it.each([
    [{ HTTPS_PROXY: 'http://proxy:3128' }, 'http://proxy:3128'],
    [{ https_proxy: 'http://proxy:3128' }, 'http://proxy:3128'],
    [{ HTTPS_PROXY: 'http://other', https_proxy: 'http://proxy:3128' }, 'http://proxy:3128'],
    [{ HTTPS_PROXY: 'proxy:3128' }, 'http://proxy:3128'],
    [{ HTTPS_PROXY: 'user:p%40ss@proxy:3128' }, 'http://user:p%40ss@proxy:3128'],
    [{ HTTPS_PROXY: '', https_proxy: '' }, undefined],
  ])('%j → %s', (env: NodeJS.ProcessEnv, url) => {
    expect(loadConfig(env).HTTPS_PROXY).toBe(url);
  });

  it('credentials → are not shown at start', () => {
    const described = describeConfig(loadConfig({ HTTP_PROXY: 'user:s3cret@proxy:3128' }));

    expect(described).toMatchObject({ HTTP_PROXY: 'http://proxy:3128/' });
    expect(JSON.stringify(described)).not.toContain('s3cret');
  });
});

describe('a command', () => {
  const SERVICE_LINK = 'tcp://10.96.12.3:3000';
  const env = { REDIS_URL: 'redis://redis', API_PORT: SERVICE_LINK };

  it('an invalid variable that it does not read → counts as unset', () => {
    const config = loadConfig({ ...env, BOARD_VIEWER_USERNAME: 'viewer' }, ['REDIS_URL'], 'worker');

    expect(config).not.toHaveProperty('API_PORT');
    expect(config).toHaveProperty('REDIS_URL', 'redis://redis');
  });

  it('an invalid variable that it does not read, beside one that it reads → both are reported', () => {
    expect(() => loadConfig({ ...env, LOG_LEVEL: 'loud' }, [], 'worker')).toThrow(
      /^API_PORT .*\nLOG_LEVEL .*$/,
    );
  });

  it.each(['api', 'dev', 'check'] as const)(
    '%s, a service link → the cause is named',
    (command) => {
      expect(() => loadConfig(env, [], command)).toThrow(
        'API_PORT must be a whole number from 0 to 65535, and is a service link of Kubernetes: set enableServiceLinks: false in the pod',
      );
    },
  );
});

describe('NAME_FILE', () => {
  const folder = mkdtempSync(join(tmpdir(), 'seek-config-'));
  const file = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    { content: 's3cret', value: 's3cret' },
    { content: 's3cret\n', value: 's3cret' },
    { content: 's3cret\r\n', value: 's3cret' },
  ])('a file with $content → its content without the last line break', ({ content, value }) => {
    const env = { SEEK_CLIENT_SECRET_FILE: file('secret', content) };

    expect(loadConfig(env, ['SEEK_CLIENT_SECRET'])).toMatchObject({ SEEK_CLIENT_SECRET: value });
  });

  it.each([
    ['s3cret\n\n', 'must not hold a line break'],
    ['s3cret\r', 'must not hold a line break'],
    [' s3cret\n', 'must not begin or end with white space'],
    ['"s3cret"\n', 'must not be enclosed in quotes: remove them'],
    ['\ufeffs3cret\n', 'must not hold the invisible character U+FEFF'],
  ])('a file with %j → is rejected', (content, problem) => {
    const env = { SEEK_CLIENT_SECRET_FILE: file('mistaken', content) };

    expect(problems(env, ['SEEK_CLIENT_SECRET'])).toEqual([
      `SEEK_CLIENT_SECRET_FILE names a file whose content ${problem}`,
    ]);
  });

  it('one API key per line, and a line break at the end → every key', () => {
    const env = { API_KEYS_FILE: file('lines', 'ats:k1\r\ncrm:k2\r\n') };

    expect(loadConfig(env).API_KEYS).toMatchObject([{ name: 'ats' }, { name: 'crm' }]);
  });

  it('the value itself instead of a path → is not repeated', () => {
    expect(problems({ REDIS_URL_FILE: 'redis://:s3cret@redis' })).toEqual([
      'REDIS_URL_FILE names a file that cannot be read; give its path',
    ]);
  });

  it('a number in a file → is read like any variable', () => {
    expect(loadConfig({ WORKER_CONCURRENCY_FILE: file('number', '7\n') })).toMatchObject({
      WORKER_CONCURRENCY: 7,
    });
  });

  it('an empty file → counts as unset', () => {
    const env = { SEEK_CLIENT_SECRET_FILE: file('empty', '\n') };

    expect(problems(env, ['SEEK_CLIENT_SECRET'])).toEqual(['SEEK_CLIENT_SECRET is required']);
  });

  it('together with NAME → is rejected', () => {
    const env = { API_KEYS: 'a', API_KEYS_FILE: file('keys', 'b') };

    expect(problems(env)).toEqual(['API_KEYS and API_KEYS_FILE are both set; give one of them']);
  });

  it('a file that does not exist → is reported with the other problems', () => {
    const env = { API_KEYS_FILE: '/nowhere/keys', LOG_LEVEL: 'loud' };

    expect(problems(env).toSorted()).toEqual([
      'API_KEYS_FILE names a file that cannot be read: /nowhere/keys',
      'LOG_LEVEL must be trace, debug, info, warn, error, fatal or silent',
    ]);
  });

  it('a file that cannot be read → is reported with the other problems', () => {
    const env = { API_KEYS_FILE: folder, LOG_LEVEL: 'loud' };

    expect(problems(env)).toHaveLength(2);
    expect(problems(env).join()).toContain('API_KEYS_FILE');
  });
});

describe('API_KEYS', () => {
  const all = ['enqueue', 'read', 'operate'];

  it.each([
    { text: 'k1', keys: [{ name: 'default', key: 'k1', scopes: all }] },
    { text: 'ats:k1', keys: [{ name: 'ats', key: 'k1', scopes: all }] },
    {
      text: 'ats:k1, crm-2:k2 ,k3',
      keys: [
        { name: 'ats', key: 'k1' },
        { name: 'crm-2', key: 'k2' },
        { name: 'default', key: 'k3' },
      ],
    },
    { text: 'ats:k:1=/+', keys: [{ name: 'ats', key: 'k:1=/+' }] },
    { text: ':k1', keys: [{ name: 'default', key: ':k1' }] },
    { text: 'a+b:c', keys: 'must name no scopes but enqueue, read, operate' },
    { text: 'ats+enqueue:k1', keys: [{ name: 'ats', key: 'k1', scopes: ['enqueue'] }] },
    { text: 'ops+operate+read:k1', keys: [{ name: 'ops', scopes: ['read', 'operate'] }] },
    { text: 'k1+enqueue', keys: [{ name: 'default', key: 'k1+enqueue', scopes: all }] },
    {
      text: 'ats:k1\ncrm+read:k2',
      keys: [{ name: 'ats' }, { name: 'crm', scopes: ['read'], key: 'k2' }],
    },
  ])('$text → $keys', ({ text, keys }) => {
    if (typeof keys === 'string')
      expect(problems({ API_KEYS: text })).toEqual([`API_KEYS ${keys}`]);
    else expect(loadConfig({ API_KEYS: text }).API_KEYS).toMatchObject(keys);
  });

  it('a hash → a key without its text', () => {
    const sha256 = createHash('sha256').update('k1').digest();
    const [hashed, plain] =
      loadConfig({ API_KEYS: `ats+read:sha256=${sha256.toString('hex')},k1` }).API_KEYS ?? [];

    expect(hashed).toEqual({ name: 'ats', scopes: ['read'], sha256 });
    expect(plain).toMatchObject({ key: 'k1', sha256 });
  });

  it.each(['k1,', ',', 'ats:', 'two words', 'ü', 'k1,ats:,k2'])('%j → is rejected', (text) => {
    expect(problems({ API_KEYS: text })).toContain(
      'API_KEYS must be keys of visible ASCII characters, separated by commas',
    );
  });
});

describe('apiPort', () => {
  it.each([
    { env: {}, port: 3000 },
    { env: { PORT: '8080' }, port: 8080 },
    { env: { API_PORT: '4000' }, port: 4000 },
    { env: { API_PORT: '4000', PORT: '8080' }, port: 4000 },
    { env: { API_PORT: '0', PORT: '8080' }, port: 0 },
  ])('$env → $port', ({ env, port }) => {
    expect(apiPort(loadConfig(env))).toBe(port);
  });
});

describe('tracesUrlOf', () => {
  const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

  it.each([
    ['no variables → no URL', {}, undefined],
    ['an endpoint → the path for traces below it', BASE, 'http://collector:4318/v1/traces'],
    [
      'an endpoint with path and query → the path for traces below it, same query',
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp/?key=1' },
      'https://collector/otlp/v1/traces?key=1',
    ],
    [
      'an endpoint for traces → unchanged',
      { ...BASE, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://traces:4318/' },
      'http://traces:4318/',
    ],
    ['OTEL_SDK_DISABLED → no URL', { ...BASE, OTEL_SDK_DISABLED: 'TRUE' }, undefined],
    ['the exporter "none" → no URL', { ...BASE, OTEL_TRACES_EXPORTER: 'none' }, undefined],
    ['an empty endpoint → no URL', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, undefined],
  ])('%s', (_, env: NodeJS.ProcessEnv, url) => {
    expect(tracesUrlOf(loadConfig(env))).toBe(url);
  });

  it('invalid variables → every problem, credentials and gRPC included', () => {
    expect(
      problems({
        OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317',
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://:s3cret@collector',
        OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
        OTEL_TRACES_EXPORTER: 'jaeger',
      }),
    ).toEqual([
      'OTEL_EXPORTER_OTLP_ENDPOINT must be a URL: http://host:4318',
      'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must hold no credentials',
      'OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or http/json',
      'OTEL_TRACES_EXPORTER must be otlp or none',
    ]);
  });
});

describe('describeConfig', () => {
  it('a full configuration → shows what is set, and no secret', () => {
    const described = describeConfig(
      loadConfig({
        REDIS_URL: 'redis://user:s3cret@redis:6379',
        SEEK_CLIENT_ID: 'client-1',
        SEEK_CLIENT_SECRET: 's3cret',
        API_KEYS: 'ats:s3cret',
        BOARD_USERNAME: 'ops',
        BOARD_PASSWORD: 's3cret',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp?key=s3cret',
        SEEK_API_URL: 'https://gateway/graphql?key=s3cret',
        DATABASE_URL: 'postgresql://user:s3cret@db/ats?password=s3cret',
      }),
    );

    expect(described).toMatchObject({
      REDIS_URL: 'redis://redis:6379',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp',
      SEEK_API_URL: 'https://gateway/graphql',
      DATABASE_URL: 'postgresql://db/ats',
      SEEK_CLIENT_ID: 'client-1',
      SEEK_CLIENT_SECRET: '[set]',
      API_KEYS: '[set]',
      BOARD_USERNAME: 'ops',
      BOARD_PASSWORD: '[set]',
      BATCH_SIZE: 1,
    });
    expect(JSON.stringify(described)).not.toContain('s3cret');
  });

  it('a missing secret → is not shown as set', () => {
    expect(describeConfig(loadConfig({}))).not.toHaveProperty('SEEK_CLIENT_SECRET');
  });
});
