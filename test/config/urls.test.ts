import { describePostgresUrl, postgresUrlProblems } from '../../src/config/postgresUrl.ts';
import { proxyUrlProblems, publicUrlProblems, redisUrlProblems } from '../../src/config/urls.ts';

const ENCODE = 'percent-encoded';
const NO_URL = 'must be a URL';

/** A part of the only problem of the URL; empty if the URL is right. */
type Row = [url: string, problem: string];

const expectProblems = (found: readonly string[], problem: string) => {
  expect(found).toEqual(problem === '' ? [] : [expect.stringContaining(problem)]);
  expect(found.join()).not.toMatch(/s3cret|1234/);
};

describe('the URL of Redis', () => {
  it.each<Row>([
    ['redis://127.0.0.1:6379', ''],
    ['redis://localhost/', ''],
    ['redis://[::1]:6379/15', ''],
    ['rediss://user:p%2Fa@redis.example:6380/2?family=6', ''],
    ['redis://:p@ss@redis', ''],
    ['redis://:s3cret@my_master', ''],
    ['redis://my_master/2?sentinelUsername=app&sentinelPassword=s3cret%40', ''],
    ['redis://my_master?sentinelPassword=', 'must have no parameters except'],
    ['redis:6379', NO_URL],
    ['REDISS://redis', NO_URL],
    ['http://redis', NO_URL],
    ['/var/run/redis.sock', NO_URL],
    ['redis://u:p:6379:1', NO_URL],
    ['redis://', 'must name a host'],
    ['redis:///0', 'must name a host'],
    ['redis://"redis"', 'must name a host'],
    ['redis://redis:0', 'must have a port'],
    ['redis://redis/abc', 'must have a database number'],
    ['redis://redis/-1', 'must have a database number'],
    ['redis://redis/01', 'must have a database number'],
    ['redis://redis/1/', 'must have a database number'],
    ['redis://redis/1.5', 'must have a database number'],
    ['redis://redis/1234567890', 'must have a database number'],
    ['redis://redis?keyPrefix=x', 'must have no parameters except'],
    ['redis://redis?db=1', 'must have no parameters except'],
    ['redis://redis?family=5', 'must have no parameters except'],
    ['redis://redis?family=4&password=s3cret', 'must have no parameters except'],
    ['redis://redis#1', 'must have no fragment'],
    ['redis://user@redis', 'must have a password before the @'],
    ['redis://user:@redis', 'must have a password before the @'],
    ['redis://:@redis', 'must have a password before the @'],
    ['redis://default:1234/s3cret@redis', ENCODE],
    ['redis://default:1234?s3cret@redis', ENCODE],
    ['redis://default:1234#s3cret@redis:6379/0', ENCODE],
    ['redis://default:a/s3cret@redis', ENCODE],
    ['redis://default:p@1234/s3cret@redis', ENCODE],
    ['redis://default:50%s3cret@redis', ENCODE],
  ])('%s → %s', (url, problem) => {
    expectProblems(redisUrlProblems(url), problem);
  });

  it('several mistakes → every problem', () => {
    expect(redisUrlProblems('redis://user@redis:0/a?b=c#d')).toHaveLength(5);
  });
});

describe('the URL of PostgreSQL', () => {
  it.each<Row>([
    ['postgresql://user:p%2Fa@db:5432/ats?sslmode=verify-full', ''],
    ['postgres://db', ''],
    ['postgresql:///ats', ''],
    ['postgresql://user:pw@/ats?host=/var/run/postgresql', ''],
    ['postgresql://user:pw@%2Fvar%2Frun%2Fpostgresql/ats', ''],
    [
      'postgresql://user:pw@db/ats?sslmode=verify-full&sslrootcert=/no/such/file&options=-c%20a',
      '',
    ],
    ['postgresql:///ats?user=me@corp&password=a@b', ''],
    ['socket:/var/run/postgresql?db=ats', ''],
    ['/var/run/postgresql ats', ''],
    ['postgresql://user:50%off@db/ats', ''],
    ['mysql://db', NO_URL],
    ['db:5432', NO_URL],
    ['postgresql:ats', NO_URL],
    ['postgresql://db:5432x/ats', NO_URL],
    ['postgresql://one,two/ats', 'must name one host'],
    ['postgresql://db:0/ats', 'must have a port'],
    ['postgresql:///ats?host=/run&port=abc', 'must have a port'],
    ['postgresql://db/ats#x', 'must have no fragment'],
    ['postgresql://default:1234/s3cret@db/ats', ENCODE],
    ['postgresql://default:1234?s3cret@db/ats', ENCODE],
    ['postgresql://default:1234?s3cret=a@db/ats', ENCODE],
    ['postgresql://default:1234#s3cret@db/ats', ENCODE],
  ])('%s → %s', (url, problem) => {
    expectProblems(postgresUrlProblems(url), problem);
  });

  it.each([
    ['postgresql://user:s3cret@db:5432/ats?sslmode=disable', 'postgresql://db:5432/ats'],
    ['postgresql://user:s3cret@[::1]/ats', 'postgresql://[::1]/ats'],
    ['postgresql://user:s3cret@/ats?host=/run', 'postgresql:///ats?host=/run'],
    ['postgresql://db/ats?password=s3cret', 'postgresql://db/ats'],
    ['/run ats', 'postgresql:///ats?host=/run'],
  ])('%s → is shown as %s', (url, shown) => {
    expect(describePostgresUrl(url)).toBe(shown);
  });
});

describe('a public URL', () => {
  it.each<Row>([
    ['https://graphql.seek.com/graphql', ''],
    ['http://127.0.0.1:3002/graphql?key=1', ''],
    ['http://[::1]:3002', ''],
    ['ftp://graphql.seek.com', NO_URL],
    ['graphql.seek.com', NO_URL],
    ['https:graphql.seek.com', NO_URL],
    ['https://user:s3cret@graphql.seek.com', 'must hold no credentials'],
    ['https://s3cret@graphql.seek.com', 'must hold no credentials'],
    ['https://user:1234/s3cret@graphql.seek.com', 'must hold no credentials'],
    ['https://graphql.seek.com/graphql#x', 'must have no fragment'],
    ['https://graphql.seek.com:0/', 'must have a port'],
  ])('%s → %s', (url, problem) => {
    expectProblems(publicUrlProblems(url, 'https://…'), problem);
  });
});

describe('the URL of a proxy', () => {
  it.each<Row>([
    ['http://proxy:3128', ''],
    ['https://proxy/', ''],
    ['http://user:p%2Fa@proxy:3128', ''],
    ['socks5://proxy:1080', NO_URL],
    ['http://proxy:port', NO_URL],
    ['http://proxy:3128/path', 'must have nothing after the port'],
    ['http://proxy:3128?a=b', 'must have nothing after the port'],
    ['http://user@proxy', 'must have a password before the @'],
    ['http://user:1234/s3cret@proxy', ENCODE],
    ['http://user:50%s3cret@proxy', ENCODE],
  ])('%s → %s', (url, problem) => {
    expectProblems(proxyUrlProblems(url), problem);
  });
});
