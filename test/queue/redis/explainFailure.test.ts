import { UnacknowledgedError } from '../../../src/queue/failure.ts';
import {
  type ConnectionState,
  createExplainFailure,
  describeAddress,
} from '../../../src/queue/redis/explainFailure.ts';

const CONNECTED: ConnectionState = {
  isClosed: false,
  lastError: undefined,
  isReadOnly: false,
  isLoading: false,
  isConnecting: false,
};

const ADDRESS = {
  url: 'rediss://app:pass%2Fword-1@127.0.0.1:6380?sentinelPassword=another-secret',
};
const AT = 'Redis at 127.0.0.1:6380';

const explain = (err?: unknown, state: Partial<ConnectionState> = {}) =>
  createExplainFailure(ADDRESS, () => ({ ...CONNECTED, ...state }))(err);

const reply = (message: string, fields: object = {}) =>
  Object.assign(new Error(message), { name: 'ReplyError', ...fields });
const failure = (message: string, code?: string) =>
  Object.assign(new Error(message), code === undefined ? {} : { code });

const TIMED_OUT = failure('Command timed out');
const NO_CONNECTION = failure('Reached the max retries per request limit (which is 1). Refer to …');

describe('a refusal of Redis', () => {
  it.each([
    {
      said: 'NOREPLICAS Not enough good replicas to write. script: 0d12, on @user_script:22.',
      code: 'NOREPLICAS',
      says: /^Redis at 127\.0\.0\.1:6380 refuses: NOREPLICAS Not enough good replicas to write\. Fewer/,
    },
    {
      said: "ERR The user executing the script can't run this command or subcommand script: 0d12, on @user_script:23.",
      code: 'NOPERM',
      says: /can't run this command or subcommand\. Grant/,
    },
    {
      said: "ERR Error running script (call to f_0d12): @user_script:8: @user_script: 8: -OOM command not allowed when used memory > 'maxmemory'.",
      code: 'OOM',
      says: /refuses: OOM command not allowed .*Redis is out of memory/,
    },
    { said: 'MOVED 5798 127.0.0.1:7001', code: 'MOVED', says: /Redis Cluster/ },
    { said: 'SOMETHINGNEW of a later version', code: 'SOMETHINGNEW', says: /of a later version$/ },
    { said: 'no code at all', code: 'ERR', says: /refuses: no code at all$/ },
    { said: 'ERR max number of clients reached', code: 'ERR', says: /max number of clients/ },
    {
      said: "ERR unknown command 'auth', with args beginning with: 'app' 'pass/word-1' ",
      code: 'ERR',
      says: /unknown command 'auth'$/,
    },
  ])('$said → $code', ({ said, code, says }) => {
    const explained = explain(reply(said));

    expect(explained).toMatchObject({ code, message: expect.stringMatching(says) });
    expect(JSON.stringify([explained, String(explained.cause)])).not.toMatch(/pass.word-1/);
  });

  it('a refused transaction → the refusal of its first command', () => {
    const previousErrors = [reply('READONLY You can’t write against a read only replica.')];

    expect(explain(reply('EXECABORT Transaction discarded', { previousErrors }))).toMatchObject({
      code: 'READONLY',
    });
  });

  it('the error of ioredis with its command → a cause without the command', () => {
    const command = { name: 'set', args: ['seek-token-1'] };

    const { cause } = explain(reply('OOM command not allowed', { command }));

    expect(cause).toBeInstanceOf(Error);
    expect(cause).not.toHaveProperty('command');
  });
});

describe('a command without an answer', () => {
  it.each([
    { what: 'a timeout', err: TIMED_OUT, state: {}, code: 'TIMEOUT', says: /did not answer in/ },
    { what: 'the time limit', err: undefined, state: {}, code: 'TIMEOUT', says: /did not answer/ },
    {
      what: 'before TLS is established',
      err: TIMED_OUT,
      state: { isConnecting: true },
      code: 'TIMEOUT',
      says: /no TLS connection was established/,
    },
    {
      what: 'refused connections',
      err: NO_CONNECTION,
      state: { lastError: failure('connect ECONNREFUSED 127.0.0.1:6380', 'ECONNREFUSED') },
      code: 'ECONNREFUSED',
      says: /is not reachable: connect ECONNREFUSED 127\.0\.0\.1:6380$/,
    },
    {
      what: 'a host with two addresses that refuse',
      err: NO_CONNECTION,
      state: { lastError: failure('', 'ECONNREFUSED') },
      code: 'ECONNREFUSED',
      says: /is not reachable: ECONNREFUSED$/,
    },
    {
      what: 'the time limit, while connections are refused',
      err: undefined,
      state: { lastError: failure('connect ECONNREFUSED', 'ECONNREFUSED') },
      code: 'ECONNREFUSED',
      says: /is not reachable/,
    },
    {
      what: 'an untrusted certificate',
      err: NO_CONNECTION,
      state: { lastError: failure('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT') },
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
      says: /DEPTH_ZERO_SELF_SIGNED_CERT: self-signed certificate\. .*NODE_EXTRA_CA_CERTS/,
    },
    {
      what: 'a wrong password',
      err: NO_CONNECTION,
      state: { lastError: reply('WRONGPASS invalid username-password pair') },
      code: 'WRONGPASS',
      says: /refuses: WRONGPASS .*REDIS_URL/,
    },
    {
      what: 'a replica that ioredis asks again and again',
      err: TIMED_OUT,
      state: { isReadOnly: true },
      code: 'READONLY',
      says: /refuses writes\. It is a replica/,
    },
    {
      what: 'a replica, while ioredis looks for the master again',
      err: failure('Connection is closed.'),
      state: { isReadOnly: true },
      code: 'READONLY',
      says: /refuses writes\. It is a replica/,
    },
    {
      what: 'a Redis that loads its data',
      err: TIMED_OUT,
      state: { isLoading: true },
      code: 'LOADING',
      says: /loads its data/,
    },
    {
      what: 'a lost connection',
      err: NO_CONNECTION,
      state: {},
      code: 'CONNECTION_LOST',
      says: /closed the connection/,
    },
    {
      what: 'no Sentinel',
      err: failure('No Sentinel (REDIS_SENTINELS) names the master'),
      state: {},
      code: 'NO_SENTINEL',
      says: /is not known: No Sentinel \(REDIS_SENTINELS\) names the master$/,
    },
    {
      what: 'a connection that this process closed',
      err: failure('Connection is closed.'),
      state: { isClosed: true },
      code: 'CLOSED',
      says: /^This producer is closed$/,
    },
  ])('$what → $code', ({ err, state, code, says }) => {
    expect(explain(err, state)).toMatchObject({ code, message: expect.stringMatching(says) });
  });
});

describe('any other failure', () => {
  it('a missing acknowledgement → its own code and text', () => {
    const err = new UnacknowledgedError('WAIT_REPLICAS', '0 of 1 replicas have the write');

    expect(explain(err)).toMatchObject({
      code: 'WAIT_REPLICAS',
      message: `${AT} did not acknowledge: 0 of 1 replicas have the write`,
    });
  });

  it('an error that may quote what it read → not quoted', () => {
    expect(explain(new SyntaxError('Unexpected token in {"token":"secret'))).toMatchObject({
      code: 'QUEUE_ERROR',
      message: 'The queue failed: SyntaxError (QUEUE_ERROR)',
    });
  });

  it('secrets of the URL in a message → masked; a short password that is a word of it → not', () => {
    const { message } = explain(reply('ERR pass%2Fword-1 and another-secret'));
    const short = { url: 'redis://:wrong@127.0.0.1' };

    expect(message).toBe(`${AT} refuses: ERR [masked] and [masked]`);
    expect(createExplainFailure(short, () => CONNECTED)(reply('ERR wrong')).message).toMatch(
      /wrong$/,
    );
  });
});

describe('the address in a message', () => {
  it.each([
    { url: 'redis://app:secret@redis.example', says: 'Redis at redis.example:6379' },
    { url: 'redis://[::1]:6380/3', says: 'Redis at [::1]:6380' },
    {
      url: 'redis://:secret@mymaster',
      sentinels: [{ host: 'a', port: 26379 }],
      says: 'Redis "mymaster" of the Sentinels a:26379',
    },
  ])('$url → $says', ({ says, ...address }) => {
    expect(describeAddress(address)).toBe(says);
  });
});
