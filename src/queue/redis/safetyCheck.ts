import type { Redis } from 'ioredis';
import type { MemoryUse, SafetyFinding } from '../backend.ts';

/** What was read off a Redis. Absent: it may not be read. */
export type RedisFacts = {
  info?: Readonly<Record<string, string>>;
  appendfsync?: string;
  /** Its clock against ours; positive where it is ahead. */
  clockAheadMs?: number;
};

/** The subjects that are looked at before a process starts. */
export const EVICTION = 'eviction';
export const APPEND_ONLY_FILE = 'append-only file';

/** The rules, one function a subject. */
export const checkRedis = (facts: RedisFacts, waitReplicas: number): SafetyFinding[] => {
  const { info } = facts;
  const ofInfo =
    info === undefined
      ? [warning(EVICTION, 'unknown, like all that INFO tells: this user may not ask for it')]
      : [
          judgeEviction(info),
          judgeMemory(info),
          judgeAppendOnlyFile(info),
          judgeRole(info),
          judgeReplicas(info, waitReplicas),
          judgeVersion(info),
        ];
  return [
    ...ofInfo,
    ...(info?.aof_enabled === '1' ? [judgeFsync(facts.appendfsync, waitReplicas)] : []),
    judgeClock(facts.clockAheadMs),
  ];
};

type Info = Readonly<Record<string, string>>;

const finding =
  (level: SafetyFinding['level']) =>
  (subject: string, message: string): SafetyFinding => ({ subject, level, message });
const ok = finding('ok');
const warning = finding('warning');
const error = finding('error');

const NEVER_EVICT = 'set maxmemory-policy noeviction';

const judgeEviction = ({ maxmemory_policy: policy }: Info): SafetyFinding => {
  if (policy === 'noeviction') return ok(EVICTION, 'noeviction');
  if (policy?.startsWith('allkeys-')) {
    return error(EVICTION, `${policy}: under pressure it throws signals away; ${NEVER_EVICT}`);
  }
  if (policy?.startsWith('volatile-')) {
    const lost = 'it may throw away what is remembered of duplicates, and locks';
    return warning(EVICTION, `${policy}: under pressure ${lost}; ${NEVER_EVICT}`);
  }
  return warning(EVICTION, `unknown: maxmemory-policy is ${policy ?? 'not told'}`);
};

const judgeMemory = ({ used_memory, maxmemory }: Info): SafetyFinding => {
  const [used, most] = [Number(used_memory), Number(maxmemory)];
  if (Number.isNaN(used / most) || most === 0) return ok('memory', 'no limit is set');
  const message = `${Math.round((100 * used) / most)} % of maxmemory is in use`;
  if (used >= most) return error('memory', `${message}: it takes no more signals`);
  return used > most * 0.8 ? warning('memory', message) : ok('memory', message);
};

const judgeAppendOnlyFile = ({ aof_enabled, aof_last_write_status }: Info): SafetyFinding => {
  if (aof_enabled !== '1') {
    const lost = 'a Redis that dies takes what it had accepted with it';
    return warning(APPEND_ONLY_FILE, `off: ${lost}; set appendonly yes`);
  }
  return aof_last_write_status === 'ok'
    ? ok(APPEND_ONLY_FILE, 'on')
    : error(APPEND_ONLY_FILE, `the last write failed: ${aof_last_write_status ?? 'not told'}`);
};

const judgeFsync = (appendfsync: string | undefined, waitReplicas: number): SafetyFinding => {
  switch (appendfsync) {
    case 'always':
      return ok('fsync', 'always');
    case 'everysec':
      return waitReplicas > 0
        ? ok('fsync', 'everysec, and WAIT_REPLICAS beside it')
        : warning(
            'fsync',
            'everysec: a power cut can cost the last second; appendfsync always or WAIT_REPLICAS closes that',
          );
    case undefined:
      return warning('fsync', 'appendfsync is unknown: this user may not ask for it (CONFIG GET)');
    default:
      return warning('fsync', `${appendfsync}: a power cut can cost what the kernel still holds`);
  }
};

const judgeRole = ({ role }: Info): SafetyFinding =>
  role === 'slave'
    ? error('role', 'a replica: it takes no writes; REDIS_URL must lead to the master')
    : ok('role', role ?? 'not told');

const judgeReplicas = (info: Info, waitReplicas: number): SafetyFinding => {
  const online = Object.entries(info).filter(
    ([name, value]) => /^slave\d+$/.test(name) && value.includes('state=online'),
  ).length;
  const message = `${online} connected, WAIT_REPLICAS is ${waitReplicas}`;
  return online < waitReplicas ? error('replicas', message) : ok('replicas', message);
};

const judgeVersion = ({ redis_version: version }: Info): SafetyFinding => {
  const [major = 0, minor = 0] = version?.split('.').map(Number) ?? [];
  if (version === undefined) return warning('version', 'unknown');
  return major > 6 || (major === 6 && minor >= 2)
    ? ok('version', version)
    : error('version', `${version}: 6.2 or newer is needed`);
};

const judgeClock = (aheadMs: number | undefined): SafetyFinding => {
  if (aheadMs === undefined) return warning('clock', 'unknown: this user may not ask for TIME');
  const apart = Math.abs(aheadMs);
  const message = `${Math.round(apart)} ms ${aheadMs < 0 ? 'behind' : 'ahead of'} ours`;
  if (apart > 60_000) return error('clock', message);
  return apart > 1_000 ? warning('clock', message) : ok('clock', message);
};

/** Looks at a Redis as a place to keep signals. Rejects if it can't be asked at all. */
export const inspectRedis = async (
  client: Redis,
  waitReplicas: number,
): Promise<SafetyFinding[]> => {
  const [info, config, clockAheadMs] = await Promise.all([
    ifAllowed(client.info()),
    ifAllowed(client.config('GET', 'appendfsync')),
    ifAllowed(readClock(client)),
  ]);
  const appendfsync = Array.isArray(config) ? config[1] : undefined;
  return checkRedis(
    {
      ...(info === undefined ? {} : { info: parseInfo(info) }),
      ...(typeof appendfsync === 'string' ? { appendfsync } : {}),
      ...(clockAheadMs === undefined ? {} : { clockAheadMs }),
    },
    waitReplicas,
  );
};

/** How many bytes a Redis holds, and how many it may; a `limit` of 0: as many as the machine has. */
export const readMemoryUse = async (client: Redis): Promise<MemoryUse | undefined> => {
  const info = await ifAllowed(client.info('memory'));
  if (info === undefined) return undefined;
  const { used_memory: used, maxmemory: limit } = parseInfo(info);
  return used === undefined || limit === undefined
    ? undefined
    : { used: Number(used), limit: Number(limit) };
};

// Hosted ones often refuse CONFIG, by ACL or as if there were no such command.
const ifAllowed = async <Answer>(asking: Promise<Answer>): Promise<Answer | undefined> => {
  try {
    return await asking;
  } catch (err) {
    if (err instanceof Error && /NOPERM|unknown command/i.test(err.message)) return undefined;
    throw err;
  }
};

const readClock = async (client: Redis): Promise<number> => {
  const asked = Date.now();
  const [seconds, microseconds] = await client.time();
  // It was read somewhere between question and answer.
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - (asked + Date.now()) / 2;
};

const parseInfo = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/^([^#:\r\n]+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
