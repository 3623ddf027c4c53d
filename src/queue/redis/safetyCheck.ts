import type { Redis } from 'ioredis';
import {
  MAX_CLOCK_DIFFERENCE_MS,
  type MemoryUse,
  type QueueUse,
  type SafetyFinding,
} from '../backend.ts';
import { commandOf, findRefusals, isRefusedReply, type Refusal } from './access.ts';

const QUESTIONS = {
  info: { command: 'INFO', grant: '+info' },
  config: { command: 'CONFIG GET', grant: '+config|get' },
  time: { command: 'TIME', grant: '+time' },
} as const;

type Question = keyof typeof QUESTIONS;

/** What was read from Redis. A field is absent if Redis refuses to tell. */
export type RedisFacts = {
  info?: Readonly<Record<string, string>>;
  /** The settings `maxmemory-policy`, `appendonly` and `appendfsync`. */
  config?: Readonly<Record<string, string>>;
  /** The clock of Redis minus the clock of this process. */
  clockAheadMs?: number;
  /** The questions that Redis refuses, in its own words. */
  refused?: Partial<Record<Question, string>>;
  /** The commands that Redis refuses to this user. Absent: unknown. */
  refusals?: readonly Refusal[];
};

/** The subjects that every process checks when it starts. */
export const EVICTION = 'eviction';
export const APPEND_ONLY_FILE = 'append-only file';
export const PERMISSIONS = 'permissions';

/** Applies the rules; one function for each subject. */
export const checkRedis = (facts: RedisFacts, waitReplicas: number): SafetyFinding[] => {
  const { info, config = {}, refused = {}, refusals } = facts;
  const unknown = (subject: string, question: Question): SafetyFinding => {
    const { command, grant } = QUESTIONS[question];
    const reason = refused[question];
    return warning(
      subject,
      reason === undefined
        ? `unknown: Redis does not report it in ${command}`
        : `unknown: Redis refuses ${command} (${reason}); grant ${grant}`,
    );
  };
  const policy = info?.maxmemory_policy ?? config['maxmemory-policy'];
  const appendOnly = info?.aof_enabled ?? AOF_ENABLED[config.appendonly ?? ''];
  const writeStatus = info === undefined ? 'ok' : info.aof_last_write_status;
  return [
    policy === undefined ? unknown(EVICTION, 'info') : checkEviction(policy),
    info === undefined ? unknown('memory', 'info') : checkMemory(info),
    appendOnly === undefined
      ? unknown(APPEND_ONLY_FILE, 'info')
      : checkAppendOnlyFile(appendOnly, writeStatus),
    ...(info === undefined
      ? ['role', 'replicas', 'version'].map((subject) => unknown(subject, 'info'))
      : [checkRole(info), checkReplicas(info, waitReplicas), checkVersion(info)]),
    ...(appendOnly === '1'
      ? [
          config.appendfsync === undefined
            ? unknown('fsync', 'config')
            : checkFsync(config.appendfsync, waitReplicas),
        ]
      : []),
    facts.clockAheadMs === undefined ? unknown('clock', 'time') : checkClock(facts.clockAheadMs),
    ...(refusals === undefined ? [] : [checkPermissions(refusals)]),
  ];
};

const AOF_ENABLED: Readonly<Record<string, string>> = { yes: '1', no: '0' };

type Info = Readonly<Record<string, string>>;

const finding =
  (level: SafetyFinding['level']) =>
  (subject: string, message: string): SafetyFinding => ({ subject, level, message });
const ok = finding('ok');
const warning = finding('warning');
const error = finding('error');

const NEVER_EVICT = 'set maxmemory-policy noeviction';

const checkEviction = (policy: string): SafetyFinding => {
  if (policy === 'noeviction') return ok(EVICTION, 'noeviction');
  if (policy.startsWith('allkeys-')) {
    return error(EVICTION, `${policy}: a full Redis deletes signals; ${NEVER_EVICT}`);
  }
  if (policy.startsWith('volatile-')) {
    const lost = 'the records of duplicates, and locks';
    return warning(EVICTION, `${policy}: a full Redis may delete ${lost}; ${NEVER_EVICT}`);
  }
  return warning(EVICTION, `unknown: maxmemory-policy is ${policy}`);
};

const checkMemory = ({ used_memory, maxmemory }: Info): SafetyFinding => {
  const [used, limit] = [Number(used_memory), Number(maxmemory)];
  if (Number.isNaN(used / limit) || limit === 0) return ok('memory', 'no limit is set');
  const message = `${Math.round((100 * used) / limit)} % of maxmemory is in use`;
  if (used >= limit) return error('memory', `${message}: Redis accepts no more signals`);
  return used > limit * 0.8 ? warning('memory', message) : ok('memory', message);
};

const checkAppendOnlyFile = (enabled: string, writeStatus: string | undefined): SafetyFinding => {
  if (enabled !== '1') {
    return warning(
      APPEND_ONLY_FILE,
      'off: if Redis crashes, accepted signals are lost; set appendonly yes',
    );
  }
  return writeStatus === 'ok'
    ? ok(APPEND_ONLY_FILE, 'on')
    : error(APPEND_ONLY_FILE, `the last write failed: ${writeStatus ?? 'not reported'}`);
};

const checkFsync = (appendfsync: string, waitReplicas: number): SafetyFinding => {
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

const checkClock = (aheadMs: number): SafetyFinding => {
  const apartMs = Math.abs(aheadMs);
  const message = `${Math.round(apartMs)} ms ${aheadMs < 0 ? 'behind' : 'ahead of'} ours`;
  if (apartMs > MAX_CLOCK_DIFFERENCE_MS) return error('clock', message);
  return apartMs > 1_000 ? warning('clock', message) : ok('clock', message);
};

const checkPermissions = (refusals: readonly Refusal[]): SafetyFinding => {
  // A user without the keys is refused nearly every command, and needs no further command.
  const isAboutKeys = ({ reason }: Refusal) =>
    /access (one of|at least one of) the keys/.test(reason);
  const aboutKeys = refusals.find(isAboutKeys);
  const commands = refusals.filter((refusal) => !isAboutKeys(refusal));
  const [first] = commands;
  const problems = [
    ...(aboutKeys === undefined
      ? []
      : [`the keys under QUEUE_PREFIX (${aboutKeys.reason}): grant ~QUEUE_PREFIX:*`]),
    ...(first === undefined
      ? []
      : [
          `${commands.map(({ command }) => command.toUpperCase()).join(', ')} (${first.reason}): grant ${commands.map(({ command }) => `+${command}`).join(' ')}`,
        ]),
  ];
  return problems.length === 0
    ? ok(PERMISSIONS, 'Redis allows every command that is needed')
    : error(PERMISSIONS, `Redis refuses ${problems.join('; and ')}`);
};

type Inspection = {
  client: Redis;
  prefix: string;
  waitReplicas: number;
  uses: readonly QueueUse[];
};

/** Checks whether Redis is a safe place for signals. Rejects if Redis does not answer. */
export const inspectRedis = async ({
  client,
  prefix,
  waitReplicas,
  uses,
}: Inspection): Promise<SafetyFinding[]> => {
  const refused: Partial<Record<Question, string>> = {};
  /** Each question stands by itself: whatever Redis says against one, the others are answered. */
  const ask = async <Answer>(question: Question, answer: Promise<Answer>) =>
    answer.catch((err: unknown) => {
      const command = commandOf(err);
      // The refusal of another command, which ioredis sends before all others, says nothing about this one.
      if (!isRefusedReply(err) || (command !== undefined && command !== question)) throw err;
      refused[question] = err.message;
      return undefined;
    });
  const [infoText, config, time] = await Promise.all([
    ask('info', client.info()),
    ask('config', readSettings(client)),
    ask('time', readClock(client)),
  ]);
  const info = infoText === undefined ? undefined : parseInfo(infoText);
  const clockAheadMs = time ?? clockOf(info);
  // A replica takes no writes. ioredis would reconnect at each, to look for the master.
  const neededUses: QueueUse[] = waitReplicas > 0 ? [...uses, 'replicas'] : [...uses];
  const refusals =
    info?.role === 'slave'
      ? undefined
      : await findRefusals(client, prefix, neededUses).catch(() => undefined);
  return checkRedis(
    {
      ...(info === undefined ? {} : { info }),
      ...(config === undefined ? {} : { config }),
      ...(clockAheadMs === undefined ? {} : { clockAheadMs }),
      ...(refusals === undefined ? {} : { refusals }),
      refused,
    },
    waitReplicas,
  );
};

const SETTINGS = ['maxmemory-policy', 'appendonly', 'appendfsync'];

// One setting at a time: before version 7, Redis takes one only.
const readSettings = async (client: Redis): Promise<Record<string, string>> => {
  const answers = await Promise.all(SETTINGS.map((name) => client.config('GET', name)));
  return Object.fromEntries(
    answers.flatMap((answer) => {
      const [name, value] = Array.isArray(answer) ? answer : [];
      return typeof name === 'string' && typeof value === 'string' ? [[name, value]] : [];
    }),
  );
};

/** Behind Sentinels: whether a master that is cut off from its replicas stops accepting writes. */
export const inspectMinReplicas = async (client: Redis): Promise<SafetyFinding> => {
  const info = await ifAllowed(client.info('replication'));
  const subject = 'min-replicas-to-write';
  if (info === undefined) return warning(subject, 'unknown: Redis refuses INFO');
  // Redis reports the field only if both min-replicas-to-write and min-replicas-max-lag are set.
  const { min_slaves_good_slaves: good } = parseInfo(info);
  return good === undefined
    ? warning(
        subject,
        '0: a master that is cut off from its replicas accepts writes, and a failover discards them; set min-replicas-to-write 1 and min-replicas-max-lag 5, or WAIT_REPLICAS',
      )
    : ok(subject, `set; ${good} replicas are in time`);
};

/** `undefined` if Redis refuses the command. */
const ifAllowed = <Answer>(answer: Promise<Answer>): Promise<Answer | undefined> =>
  answer.catch((err: unknown) => {
    if (!isRefusedReply(err)) throw err;
    return undefined;
  });

/** `undefined` if Redis refuses INFO to this user. */
export const readMemoryUse = async (client: Redis): Promise<MemoryUse | undefined> => {
  const info = await ifAllowed(client.info('memory'));
  if (info === undefined) return undefined;
  const { used_memory: used, maxmemory: limit } = parseInfo(info);
  return used === undefined || limit === undefined
    ? undefined
    : { used: Number(used), limit: Number(limit) };
};

const readClock = async (client: Redis): Promise<number> => {
  const sentAt = Date.now();
  const [seconds, microseconds] = await client.time();
  // Compares with the middle between request and answer, when Redis most likely read its clock.
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - (sentAt + Date.now()) / 2;
};

/** Less exact than TIME, and enough to find a clock that is wrong by a minute. */
const clockOf = (info: Info | undefined): number | undefined =>
  info?.server_time_usec === undefined
    ? undefined
    : Number(info.server_time_usec) / 1000 - Date.now();

const parseInfo = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/^([^#:\r\n]+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
