import { checkRedis, type RedisFacts } from '../../../src/queue/redis/safetyCheck.ts';

const SAFE = {
  redis_version: '7.0.15',
  maxmemory_policy: 'noeviction',
  used_memory: '80',
  maxmemory: '100',
  aof_enabled: '1',
  aof_last_write_status: 'ok',
  role: 'master',
  slave0: 'ip=10.0.0.2,port=6379,state=online,offset=1,lag=0',
};

type Case = {
  what: string;
  info?: Record<string, string>;
  facts?: Partial<RedisFacts>;
  waitReplicas?: number;
  subject: string;
  level: string;
  message?: RegExp;
};

const check = ({ info = {}, facts = {}, waitReplicas = 0 }: Partial<Case>) =>
  checkRedis(
    {
      info: { ...SAFE, ...info },
      config: { appendfsync: 'always' },
      clockAheadMs: 0,
      refusals: [],
      ...facts,
    },
    waitReplicas,
  );

describe('checkRedis', () => {
  it('a safe Redis → every subject is ok', () => {
    expect(check({ waitReplicas: 1 }).map(({ level, subject }) => [subject, level])).toEqual([
      ['eviction', 'ok'],
      ['memory', 'ok'],
      ['append-only file', 'ok'],
      ['role', 'ok'],
      ['replicas', 'ok'],
      ['version', 'ok'],
      ['fsync', 'ok'],
      ['clock', 'ok'],
      ['permissions', 'ok'],
    ]);
  });

  const policy = (maxmemory_policy: string) => ({ info: { maxmemory_policy } });
  const aof = (change: Record<string, string>) => ({ info: change });
  const clock = (clockAheadMs: number) => ({ facts: { clockAheadMs } });
  const version = (redis_version: string) => ({ info: { redis_version } });

  it.each<Case>([
    ...['allkeys-lru', 'allkeys-lfu', 'allkeys-random'].map((name) => ({
      what: name,
      ...policy(name),
      subject: 'eviction',
      level: 'error',
      message: new RegExp(name),
    })),
    ...['volatile-lru', 'volatile-ttl'].map((name) => ({
      what: name,
      ...policy(name),
      subject: 'eviction',
      level: 'warning',
      message: /duplicates, and locks/,
    })),
    { what: 'an unknown policy', ...policy('mine'), subject: 'eviction', level: 'warning' },
    {
      what: 'no append-only file',
      ...aof({ aof_enabled: '0' }),
      subject: 'append-only file',
      level: 'warning',
      message: /appendonly yes/,
    },
    {
      what: 'a failing append-only file',
      ...aof({ aof_last_write_status: 'err' }),
      subject: 'append-only file',
      level: 'error',
    },
    {
      what: 'appendfsync everysec',
      facts: { config: { appendfsync: 'everysec' } },
      subject: 'fsync',
      level: 'warning',
      message: /last second.*WAIT_REPLICAS/,
    },
    {
      what: 'appendfsync everysec with replicas',
      facts: { config: { appendfsync: 'everysec' } },
      waitReplicas: 1,
      subject: 'fsync',
      level: 'ok',
    },
    {
      what: 'appendfsync no',
      facts: { config: { appendfsync: 'no' } },
      subject: 'fsync',
      level: 'warning',
    },
    {
      what: '81 % of the memory in use',
      info: { used_memory: '81' },
      subject: 'memory',
      level: 'warning',
    },
    {
      what: '100 % of the memory in use',
      info: { used_memory: '100' },
      subject: 'memory',
      level: 'error',
    },
    { what: 'no memory limit', info: { maxmemory: '0' }, subject: 'memory', level: 'ok' },
    { what: 'a replica', info: { role: 'slave' }, subject: 'role', level: 'error' },
    { what: 'too few replicas', waitReplicas: 2, subject: 'replicas', level: 'error' },
    {
      what: 'a replica that is still syncing',
      waitReplicas: 1,
      info: { slave0: 'ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0' },
      subject: 'replicas',
      level: 'error',
      message: /^0 connected, WAIT_REPLICAS is 1/,
    },
    { what: 'Redis 6.0', ...version('6.0.20'), subject: 'version', level: 'error' },
    { what: 'Redis 6.2', ...version('6.2.0'), subject: 'version', level: 'ok' },
    { what: 'Redis 10.0', ...version('10.0.1'), subject: 'version', level: 'ok' },
    { what: 'a clock one second ahead', ...clock(1_000), subject: 'clock', level: 'ok' },
    { what: 'a clock two seconds behind', ...clock(-2_000), subject: 'clock', level: 'warning' },
    { what: 'a clock two minutes ahead', ...clock(120_000), subject: 'clock', level: 'error' },
  ])('$what → $level for $subject', ({ subject, level, message = /./, ...given }) => {
    const [found, ...more] = check(given).filter((finding) => finding.subject === subject);

    expect(more).toEqual([]);
    expect(found).toEqual({ subject, level, message: expect.stringMatching(message) });
  });

  it('no append-only file → no finding about fsync', () => {
    const subjects = check({ info: { aof_enabled: '0' } }).map(({ subject }) => subject);

    expect(subjects).not.toContain('fsync');
  });

  const NOPERM = "NOPERM this user has no permissions to run the 'info' command";

  it('Redis refuses INFO, CONFIG and TIME → each subject is unknown, with what was refused', () => {
    const refused = { info: NOPERM, config: 'ERR command not allowed', time: 'ERR no TIME here' };
    const findings = checkRedis({ refused }, 0);

    expect(findings.map(({ subject, level }) => [subject, level])).toEqual([
      ['eviction', 'warning'],
      ['memory', 'warning'],
      ['append-only file', 'warning'],
      ['role', 'warning'],
      ['replicas', 'warning'],
      ['version', 'warning'],
      ['clock', 'warning'],
    ]);
    expect(findings[0]?.message).toBe(`unknown: Redis refuses INFO (${NOPERM}); grant +info`);
    expect(findings.at(-1)?.message).toMatch(/refuses TIME \(ERR no TIME here\); grant \+time$/);
  });

  it('Redis refuses CONFIG → only fsync is unknown', () => {
    const findings = checkRedis(
      { info: SAFE, clockAheadMs: 0, refused: { config: 'ERR command not allowed' } },
      0,
    );

    expect(findings.filter(({ level }) => level !== 'ok')).toEqual([
      {
        subject: 'fsync',
        level: 'warning',
        message: 'unknown: Redis refuses CONFIG GET (ERR command not allowed); grant +config|get',
      },
    ]);
  });

  it.each([
    ['maxmemory-policy', 'allkeys-lru', 'eviction', 'error'],
    ['maxmemory-policy', 'noeviction', 'eviction', 'ok'],
    ['appendonly', 'no', 'append-only file', 'warning'],
    ['appendonly', 'yes', 'append-only file', 'ok'],
  ])('Redis refuses INFO, and CONFIG GET %s answers %s → %s: %s', (name, value, subject, level) => {
    const findings = checkRedis({ config: { [name]: value }, refused: { info: NOPERM } }, 0);

    expect(findings).toContainEqual(expect.objectContaining({ subject, level }));
  });

  it('INFO of a hosted Redis lacks fields → unknown, without blame for a permission', () => {
    const { maxmemory_policy, aof_enabled, ...info } = SAFE;
    const findings = checkRedis({ info, config: {}, clockAheadMs: 0 }, 0);

    expect(findings).toContainEqual({
      subject: 'eviction',
      level: 'warning',
      message: 'unknown: Redis does not report it in INFO',
    });
  });

  it('Redis refuses commands → one error that names each and what to grant', () => {
    const reason = "NOPERM this user has no permissions to run the 'evalsha' command";
    const refusals = [
      { command: 'evalsha', reason },
      { command: 'bzpopmin', reason: 'NOPERM …' },
    ];

    expect(checkRedis({ info: SAFE, refusals }, 0)).toContainEqual({
      subject: 'permissions',
      level: 'error',
      message: `Redis refuses EVALSHA, BZPOPMIN (${reason}): grant +evalsha +bzpopmin`,
    });
  });

  it('Redis refuses the keys of the queue → names the keys, and none of the commands that use them', () => {
    const reason =
      'NOPERM this user has no permissions to access one of the keys used as arguments';
    const refusals = ['get', 'set'].map((command) => ({ command, reason }));

    expect(checkRedis({ info: SAFE, refusals }, 0)).toContainEqual({
      subject: 'permissions',
      level: 'error',
      message: `Redis refuses the keys under QUEUE_PREFIX (${reason}): grant ~QUEUE_PREFIX:*`,
    });
  });
});
