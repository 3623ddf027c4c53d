import type { Redis } from 'ioredis';
import { v4 as uuidV4 } from 'uuid';
import { withDeadline } from '../../runtime/async.ts';
import { isObject } from '../../schemas/json.ts';
import type { QueueUse } from '../backend.ts';

type Command = readonly [name: string, ...args: (string | number)[]];

const TIMEOUT_MS = 2_000;
const KEEP_MS = 10_000;
const UNKNOWN_SCRIPT = '0'.repeat(40);

/**
 * Each command that the processes send, or that their scripts and those of BullMQ call, in a form that
 * changes nothing. The key holds a text, so a command for hashes, lists, sets or streams answers
 * WRONGTYPE if Redis lets the user run it.
 */
const commandsFor = (key: string, uses: readonly QueueUse[]): Command[] => [
  ['set', key, '0', 'PX', KEEP_MS],
  ['ping'],
  ['info', 'server'],
  ['time'],
  ['eval', 'return 1', 0],
  ['evalsha', UNKNOWN_SCRIPT, 0],
  ['scan', 0, 'MATCH', key, 'COUNT', 1],
  ['exists', key],
  ['type', key],
  ['pttl', key],
  ['expire', key, KEEP_MS / 1_000],
  ['pexpire', key, KEEP_MS],
  ['pexpireat', key, Date.now() + KEEP_MS],
  ['rename', key, key],
  ['get', key],
  ['mget', key],
  ['incr', key],
  ['hset', key, 'field', 'value'],
  ['hmset', key, 'field', 'value'],
  ['hget', key, 'field'],
  ['hmget', key, 'field'],
  ['hgetall', key],
  ['hexists', key, 'field'],
  ['hincrby', key, 'field', 1],
  ['hdel', key, 'field'],
  ['lpush', key, 'value'],
  ['lrange', key, 0, 0],
  ['lindex', key, 0],
  ['llen', key],
  ['lpos', key, 'value'],
  ['lrem', key, 1, 'value'],
  ['ltrim', key, 0, 0],
  ['lpop', key],
  ['rpop', key],
  ['rpoplpush', key, key],
  ['sadd', key, 'member'],
  ['smembers', key],
  ['scard', key],
  ['srem', key, 'member'],
  ['zadd', key, 0, 'member'],
  ['zcard', key],
  ['zcount', key, 0, 0],
  ['zscore', key, 'member'],
  ['zrange', key, 0, 0],
  ['zrevrange', key, 0, 0],
  ['zrangebyscore', key, 0, 0],
  ['zrevrangebyscore', key, 0, 0],
  ['zpopmin', key],
  ['zrem', key, 'member'],
  ['zremrangebyrank', key, 0, 0],
  ['zremrangebyscore', key, 0, 0],
  ['xadd', key, '*', 'field', 'value'],
  ['xtrim', key, 'MAXLEN', 1],
  ...uses.flatMap((use) => USES[use](key)),
  ['del', key],
];

/** What some processes need in addition. */
const USES: Readonly<Record<QueueUse, (key: string) => Command[]>> = {
  work: (key) => [['bzpopmin', key, 0.01]],
  outcomes: (key) => [
    ['xgroup', 'CREATE', key, 'group', 0],
    ['xreadgroup', 'GROUP', 'group', 'consumer', 'COUNT', 1, 'STREAMS', key, '>'],
    ['xautoclaim', key, 'group', 'consumer', 1, 0],
    ['xack', key, 'group', '0-1'],
    ['xdel', key, '0-1'],
  ],
  replicas: () => [['wait', 0, 1]],
};

/** The names of the commands, for the documentation of the least permissions. */
export const commandNames = (uses: readonly QueueUse[] = []): string[] =>
  commandsFor('key', uses).map(([name]) => name);

/** A command that Redis refuses to this user, in the words of Redis. */
export type Refusal = { command: string; reason: string };

/** Sends each command once. Rejects if Redis does not answer, or takes no writes now. */
export const findRefusals = async (
  client: Redis,
  prefix: string,
  uses: readonly QueueUse[],
): Promise<Refusal[]> => {
  // Concurrent checks of several processes must not meet the same key.
  const commands = commandsFor(`${prefix}:access-check:${uuidV4()}`, uses);
  const pipeline = client.pipeline();
  for (const [name, ...args] of commands) pipeline.call(name, ...args);
  const answers = await withDeadline(Promise.resolve(pipeline.exec()), TIMEOUT_MS, notInTime);
  return (answers ?? []).flatMap(([err], index): Refusal[] => {
    if (err === null) return [];
    if (err.name !== 'ReplyError' || isOfAnother(err, commands[index]?.[0])) throw err;
    return isRefusal(err) ? [{ command: commands[index]?.[0] ?? '', reason: err.message }] : [];
  });
};

/** ioredis rejects all waiting commands with the refusal of the one that it sends first. */
const isOfAnother = (err: Error, name: string | undefined): boolean =>
  commandOf(err) !== undefined && commandOf(err) !== name;

/** The name of the command that Redis refused. */
export const commandOf = (err: unknown): string | undefined => {
  const command = err instanceof Error && 'command' in err ? err.command : undefined;
  return isObject(command) && typeof command.name === 'string' ? command.name : undefined;
};

const notInTime = (): Error =>
  new Error('Redis did not answer the test of the permissions in time');

// Redis ran the command.
const EXECUTED = ['WRONGTYPE', 'NOSCRIPT', 'NOGROUP', 'ERR no such key', 'ERR The XGROUP'];
// Redis refuses every such command, until its state or the login changes.
const STATES = [
  ...['OOM', 'MISCONF', 'READONLY', 'LOADING', 'NOREPLICAS', 'BUSY', 'MASTERDOWN', 'CLUSTERDOWN'],
  ...['MOVED', 'ASK', 'TRYAGAIN', 'CROSSSLOT', 'WRONGPASS', 'NOAUTH'],
];

/** Any other answer. Hosted services and proxies refuse commands in words of their own. */
const isRefusal = ({ message }: Error): boolean =>
  ![...EXECUTED, ...STATES].some((start) => message.startsWith(start));

/** Whether an error is an answer of Redis, and not about its present state. */
export const isRefusedReply = (err: unknown): err is Error =>
  err instanceof Error && err.name === 'ReplyError' && isRefusal(err);
