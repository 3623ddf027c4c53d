import { createOutbox, createProducer } from '../../src/index.ts';

/** The lines of the error that `create` throws at once. */
const problemsOf = (create: () => unknown): string[] => {
  try {
    create();
  } catch (err) {
    if (err instanceof TypeError) return err.message.split('\n');
    throw err;
  }
  throw new Error('Expected a TypeError, and nothing was thrown');
};

describe('createProducer', () => {
  const KEY = Buffer.alloc(32).toString('base64');

  it.each([
    [{ redisUrl: 'redis://redis/abc' }, 'redisUrl must have a database number'],
    [{ redisUrl: 'redis://redis?keyPrefix=x' }, 'redisUrl must have no parameters'],
    [{ redisUrl: 'redis://default:1234/s3cret@redis' }, 'redisUrl must have its user name and'],
    [{ redisUrl: 'redis://redis\n' }, 'redisUrl must not hold a line break'],
    [{ redisUrl: '"redis://redis"' }, 'redisUrl must not be enclosed in quotes'],
    [{ redisUrl: 'http://redis' }, 'redisUrl must be a URL: redis://'],
    [{ redisUrl: '' }, 'redisUrl must be a URL: redis://'],
    [{ queuePrefix: '{seek}\n' }, 'queuePrefix must not hold a line break'],
    [{ queuePrefix: '"{seek}"' }, 'queuePrefix must not be enclosed in quotes'],
    [{ queuePrefix: '' }, 'queuePrefix must not be empty'],
    [{ name: ' ats' }, 'name must not begin or end with white space'],
    [{ seekAudience: "'https://graphql.seek.com'" }, 'seekAudience must not be enclosed in quotes'],
    [{ waitReplicas: -1 }, 'waitReplicas must be a whole number from 0 to 100'],
    [{ seekTokenTtlDays: 0.5 }, 'seekTokenTtlDays must be a whole number from 1 to 3650'],
    [{ sentinels: [{ host: '', port: 26379 }] }, 'sentinels must be a list of { host, port }'],
    [{ sentinels: [{ host: 'one', port: 0 }] }, 'sentinels must be a list of { host, port }'],
    [{ tokenEncryptionKeys: [KEY, `${KEY}\n`] }, 'tokenEncryptionKeys must be 32 bytes each'],
  ])('%j → throws at once, and names the option', (options, problem) => {
    const problems = problemsOf(() => createProducer({ redisUrl: 'redis://redis', ...options }));

    expect(problems).toEqual([expect.stringContaining(problem)]);
    expect(problems.join()).not.toMatch(/s3cret|1234/);
  });

  it('options that are no strings, as JavaScript can pass them → every problem at once', () => {
    const options = { redisUrl: undefined, queuePrefix: 7, name: null };

    expect(problemsOf(() => Reflect.apply(createProducer, undefined, [options]))).toEqual([
      'redisUrl must be a string',
      'queuePrefix must be a string',
      'name must be a string',
    ]);
  });
});

describe('createOutbox', () => {
  it('an invalid name and audience → throws at once, and names both', () => {
    expect(problemsOf(() => createOutbox({ name: '', seekAudience: '"x"' }))).toEqual([
      'name must not be empty',
      'seekAudience must not be enclosed in quotes: remove them',
    ]);
  });
});
