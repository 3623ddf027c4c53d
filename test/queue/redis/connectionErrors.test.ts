import { createDescribeConnectionError } from '../../../src/queue/redis/connection.ts';

const failure = (message: string, code?: string) =>
  Object.assign(new Error(message), code === undefined ? {} : { code });

describe('the description of a connection error', () => {
  const URL_OF_IT = 'rediss://app:pass%2Fword-1@127.0.0.1:6379?sentinelPassword=another-secret';
  const describeError = createDescribeConnectionError(URL_OF_IT);

  it.each([
    {
      err: failure('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'),
      says: 'DEPTH_ZERO_SELF_SIGNED_CERT: self-signed certificate',
    },
    {
      err: failure('connect ECONNREFUSED 127.0.0.1:6379', 'ECONNREFUSED'),
      says: 'connect ECONNREFUSED 127.0.0.1:6379',
    },
    { err: failure('', 'ECONNREFUSED'), says: 'ECONNREFUSED' },
    { err: failure('WRONGPASS invalid'), says: 'WRONGPASS invalid' },
    { err: failure('two\nlines\n', 'EPROTO'), says: 'EPROTO: two lines' },
    {
      err: failure("ERR unknown command 'auth', with args beginning with: 'app' 'secret' "),
      says: "ERR unknown command 'auth'",
    },
    { err: failure('pass%2Fword-1 and another-secret'), says: '[masked] and [masked]' },
    { err: 'anything', says: 'anything' },
  ])('$err → $says', ({ err, says }) => {
    expect(describeError(err)).toBe(says);
  });

  it('a short password that is a word of the message → the word is not masked', () => {
    const text = createDescribeConnectionError('redis://:wrong@127.0.0.1')(
      failure('WRONGPASS invalid'),
    );
    expect(text).toBe('WRONGPASS invalid');
  });

  it('an address that is not a URL → described all the same', () => {
    expect(createDescribeConnectionError('/run/redis.sock')(failure('No', 'ENOENT'))).toBe(
      'ENOENT: No',
    );
  });
});
