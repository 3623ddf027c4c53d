import type { Redis } from 'ioredis';
import type { MemoryUse, SafetyFinding } from '../backend.ts';

/** What was read from Redis. A field is absent if the user has no permission to read it. */
export type RedisFacts = {
  info?: Readonly<Record<string, string>>;
  appendfsync?: string;
  /** The clock of Redis minus the clock of this process. */
  clockAheadMs?: number;
};

/** The subjects that every process checks when it starts. */
export const EVICTION = 'eviction';
export const APPEND_ONLY_FILE = 'append-only file';

/** Applies the rules; one function for each subject. */
export const checkRedis = (facts: RedisFacts, waitReplicas: number): SafetyFinding[] => {
  const { info } = facts;
  const infoFindings =
    info === undefined
      ? [warning(EVICTION, 'unknown: this user has no permission for INFO; grant +info')]
      : [
          checkEviction(info),
          checkMemory(info),
          checkAppendOnlyFile(info),
          checkRole(info),
          checkReplicas(info, waitReplicas),
          checkVersion(info),
        ];
  return [
    ...infoFindings,
    ...(info?.aof_enabled === '1' ? [checkFsync(facts.appendfsync, waitReplicas)] : []),
    checkClock(facts.clockAheadMs),
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

const checkEviction = ({ maxmemory_policy: policy }: Info): SafetyFinding => {
  if (policy === 'noeviction') return ok(EVICTION, 'noeviction');
  if (policy?.startsWith('allkeys-')) {
    return error(EVICTION, `${policy}: a full Redis deletes signals; ${NEVER_EVICT}`);
  }
  if (policy?.startsWith('volatile-')) {
    const lost = 'the records of duplicates, and locks';
    return warning(EVICTION, `${policy}: a full Redis may delete ${lost}; ${NEVER_EVICT}`);
  }
  return warning(EVICTION, `unknown: maxmemory-policy is ${policy ?? 'not reported'}`);
};

const checkMemory = ({ used_memory, maxmemory }: Info): SafetyFinding => {
  const [used, limit] = [Number(used_memory), Number(maxmemory)];
  if (Number.isNaN(used / limit) || limit === 0) return ok('memory', 'no limit is set');
  const message = `${Math.round((100 * used) / limit)} % of maxmemory is in use`;
  if (used >= limit) return error('memory', `${message}: Redis accepts no more signals`);
  return used > limit * 0.8 ? warning('memory', message) : ok('memory', message);
};

const checkAppendOnlyFile = ({ aof_enabled, aof_last_write_status }: Info): SafetyFinding => {
  if (aof_enabled !== '1') {
    return warning(
      APPEND_ONLY_FILE,
      'off: if Redis crashes, accepted signals are lost; set appendonly yes',
    );
  }
  return aof_last_write_status === 'ok'
    ? ok(APPEND_ONLY_FILE, 'on')
    : error(APPEND_ONLY_FILE, `the last write failed: ${aof_last_write_status ?? 'not reported'}`);
};

const checkFsync = (appendfsync: string | undefined, waitReplicas: number): SafetyFinding => {
  switch (appendfsync) {
    case 'always':
      return ok('fsync', 'always');
    case 'everysec':
      return waitReplicas > 0
        ? ok('fsync', 'everysec, with WAIT_REPLICAS')
        : warning(
            'fsync',
            'everysec: a power failure can lose the last second; set appendfsync always or WAIT_REPLICAS',
          );
    case undefined:
      return warning('fsync', 'unknown: this user has no permission for CONFIG GET');
    default:
      return warning('fsync', `${appendfsync}: a power failure can lose recent writes`);
  }
};

const checkRole = ({ role }: Info): SafetyFinding =>
  role === 'slave'
    ? error('role', 'a replica, which accepts no writes; REDIS_URL must lead to the master')
    : ok('role', role ?? 'not reported');

const checkReplicas = (info: Info, waitReplicas: number): SafetyFinding => {
  const online = Object.entries(info).filter(
    ([name, value]) => /^slave\d+$/.test(name) && value.includes('state=online'),
  ).length;
  const message = `${online} connected, WAIT_REPLICAS is ${waitReplicas}`;
  return online < waitReplicas ? error('replicas', message) : ok('replicas', message);
};

const checkVersion = ({ redis_version: version }: Info): SafetyFinding => {
  const [major = 0, minor = 0] = version?.split('.').map(Number) ?? [];
  if (version === undefined) return warning('version', 'unknown');
  return major > 6 || (major === 6 && minor >= 2)
    ? ok('version', version)
    : error('version', `${version}: 6.2 or newer is needed`);
};

const checkClock = (aheadMs: number | undefined): SafetyFinding => {
  if (aheadMs === undefined) {
    return warning('clock', 'unknown: this user has no permission for TIME');
  }
  const apartMs = Math.abs(aheadMs);
  const message = `${Math.round(apartMs)} ms ${aheadMs < 0 ? 'behind' : 'ahead of'} ours`;
  if (apartMs > 60_000) return error('clock', message);
  return apartMs > 1_000 ? warning('clock', message) : ok('clock', message);
};

/** Checks whether Redis is a safe place for signals. Rejects if Redis does not answer. */
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

/** `undefined` if the user has no permission for INFO. */
export const readMemoryUse = async (client: Redis): Promise<MemoryUse | undefined> => {
  const info = await ifAllowed(client.info('memory'));
  if (info === undefined) return undefined;
  const { used_memory: used, maxmemory: limit } = parseInfo(info);
  return used === undefined || limit === undefined
    ? undefined
    : { used: Number(used), limit: Number(limit) };
};

// Hosted Redis services often refuse CONFIG, by ACL or as an unknown command.
const ifAllowed = async <Answer>(command: Promise<Answer>): Promise<Answer | undefined> => {
  try {
    return await command;
  } catch (err) {
    if (err instanceof Error && /NOPERM|unknown command/i.test(err.message)) return undefined;
    throw err;
  }
};

const readClock = async (client: Redis): Promise<number> => {
  const sentAt = Date.now();
  const [seconds, microseconds] = await client.time();
  // Compares with the middle between request and answer, when Redis most likely read its clock.
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - (sentAt + Date.now()) / 2;
};

const parseInfo = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/^([^#:\r\n]+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
