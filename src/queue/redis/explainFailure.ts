import type { Redis } from 'ioredis';
import {
  codeOf,
  type ExplainFailure,
  explainLocalFailure,
  PRODUCER_CLOSED,
  type QueueFailure,
  UnacknowledgedError,
} from '../failure.ts';
import { createDescribeError, type RedisAddress } from './connection.ts';

/** What is known of the connection, to explain a command that got no answer of its own. */
export type ConnectionState = {
  /** The process closed the connection. */
  isClosed: boolean;
  /** The last error of the connection. `undefined` while it is connected. */
  lastError: unknown;
  /** Redis answered READONLY a moment ago: ioredis repeats the command instead of rejecting it. */
  isReadOnly: boolean;
  /** Redis accepts connections, and is loading its data: ioredis holds commands back. */
  isLoading: boolean;
  /** No connection is established yet. */
  isConnecting: boolean;
};

const READONLY_MEMORY_MS = 5_000;

/** Observes a connection. `noteReadOnly` is called for each READONLY that Redis answers. */
export const observeConnection = (client: Redis, now: () => number = () => performance.now()) => {
  let lastError: unknown;
  let isLoading = false;
  let isClosed = false;
  let readOnlyAt = Number.NEGATIVE_INFINITY;
  client.on('error', (err) => {
    lastError = err;
  });
  client.on('ready', () => {
    lastError = undefined;
    isLoading = false;
  });
  client.on('close', () => {
    isLoading = false;
  });
  // ioredis sends no command before Redis has loaded its data, and does not say that it waits.
  client.on('connect', () => {
    client.info('persistence').then(
      (text) => {
        isLoading = client.status === 'connect' && /^loading:1\r?$/m.test(text);
      },
      () => {},
    );
  });
  return {
    noteClosed: () => {
      isClosed = true;
    },
    noteReadOnly: () => {
      readOnlyAt = now();
    },
    read: (): ConnectionState => ({
      isClosed,
      lastError,
      isLoading,
      isReadOnly: now() - readOnlyAt < READONLY_MEMORY_MS,
      isConnecting: client.status === 'connecting' || client.status === 'connect',
    }),
  };
};

/** What an operator does about a refusal. A refusal without an entry explains itself. */
const REMEDIES = new Map([
  ['NOREPLICAS', 'Fewer replicas are connected than min-replicas-to-write requires'],
  ['MISCONF', 'Redis fails to write its data to disk: see its log, and free disk space'],
  ['BUSY', 'Another client runs a long script: see SCRIPT KILL'],
  ['OOM', 'Redis is out of memory (maxmemory): raise maxmemory, or remove other data'],
  ['READONLY', 'It is a replica: REDIS_URL must lead to the master'],
  ['MASTERDOWN', 'It is a replica without its master: REDIS_URL must lead to the master'],
  ['LOADING', 'It loads its data after a start: wait'],
  ['NOPERM', 'Grant its user the permission'],
  ['NOAUTH', 'Set the user name and password in REDIS_URL'],
  ['WRONGPASS', 'Correct the user name and password in REDIS_URL'],
  ['MOVED', 'It is a node of a Redis Cluster: use a Redis without cluster mode'],
  ['ASK', 'It is a node of a Redis Cluster: use a Redis without cluster mode'],
  ['CLUSTERDOWN', 'It is a node of a Redis Cluster: use a Redis without cluster mode'],
  ['CROSSSLOT', 'It is a node of a Redis Cluster: use a Redis without cluster mode'],
  ['EAI_AGAIN', 'The DNS does not answer'],
  ['ENOTFOUND', 'Correct the host name in REDIS_URL, or the DNS'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'It speaks no TLS on this port: use redis://'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'Trust its certificate with NODE_EXTRA_CA_CERTS'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'Trust its certificate with NODE_EXTRA_CA_CERTS'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'Trust its certificate with NODE_EXTRA_CA_CERTS'],
]);

const COMMAND_TIMED_OUT = /^(?:Command timed out|Socket timeout)/;
/** The command failed for want of a connection. The reason is the last error of the connection. */
const NO_CONNECTION =
  /^(?:Reached the max retries per request|Command aborted|Connection is closed)/;
const NO_SENTINEL = /^No Sentinel \(REDIS_SENTINELS\) names the master/;

/** Explains why a call to Redis failed: by Redis's refusal or the error of the connection, with the address. */
export const createExplainFailure = (
  address: RedisAddress,
  readState: () => ConnectionState,
): ExplainFailure => {
  const where = describeAddress(address);
  const describeError = createDescribeError(address.url);
  const isTls = address.url.startsWith('rediss:');

  const fail = (code: string, what: string, cause?: unknown): QueueFailure => {
    const remedy = REMEDIES.get(code);
    const message = `${where} ${what}${remedy === undefined ? '' : `. ${remedy}`}`;
    return { code, message, ...(cause === undefined ? {} : { cause: describeCause(cause) }) };
  };

  /** A copy without secrets. The command that failed, which ioredis adds, holds the signal. */
  const describeCause = (cause: unknown): Error => {
    const code = codeOf(cause);
    return Object.assign(new Error(describeError(cause)), code === undefined ? {} : { code });
  };

  const explainSilence = (state: ConnectionState, cause: unknown): QueueFailure => {
    if (state.isReadOnly) return fail('READONLY', 'refuses writes', cause);
    if (state.isLoading) return fail('LOADING', 'is not ready', cause);
    if (state.lastError !== undefined) return explainConnection(state.lastError);
    const unconnected = isTls
      ? 'did not answer in time: no TLS connection was established; try again'
      : 'did not answer in time: no connection was established; try again';
    const what = state.isConnecting ? unconnected : 'did not answer in time; try again';
    return fail('TIMEOUT', what, cause);
  };

  const explainConnection = (err: unknown): QueueFailure => {
    if (isReply(err)) return explainReply(err);
    const text = describeError(err);
    if (COMMAND_TIMED_OUT.test(text)) return fail('TIMEOUT', 'did not answer in time', err);
    if (NO_CONNECTION.test(text)) return fail('CONNECTION_LOST', 'closed the connection', err);
    if (NO_SENTINEL.test(text)) return fail('NO_SENTINEL', `is not known: ${text}`, err);
    const code = codeOf(err) ?? / (E[A-Z]{3,}) /.exec(`${text} `)?.[1] ?? 'CONNECTION_LOST';
    return fail(code, `is not reachable: ${text.includes(code) ? text : `${code}: ${text}`}`, err);
  };

  const explainReply = (err: Error): QueueFailure => {
    const { code, text } = parseReply(describeError(err));
    return fail(code, `refuses: ${text}`, err);
  };

  return (err) => {
    const state = readState();
    const cause = firstErrorOf(err);
    const message = cause instanceof Error ? cause.message : '';
    if (isReply(cause)) return explainReply(cause);
    if (state.isClosed) return PRODUCER_CLOSED;
    if (cause === undefined || COMMAND_TIMED_OUT.test(message)) return explainSilence(state, cause);
    // After READONLY, ioredis closes the connection to look for the master again.
    const isAnswered = state.isReadOnly && state.lastError === undefined;
    if (isAnswered && NO_CONNECTION.test(message)) return explainSilence(state, cause);
    if (NO_CONNECTION.test(message)) return explainConnection(state.lastError ?? cause);
    if (isOfConnection(cause) || NO_SENTINEL.test(message)) return explainConnection(cause);
    return cause instanceof UnacknowledgedError || isPlain(cause)
      ? fail(codeOf(cause) ?? 'QUEUE_ERROR', `did not acknowledge: ${describeError(cause)}`, cause)
      : explainLocalFailure(cause);
  };
};

/** The address without user name and password. */
export const describeAddress = ({ url, sentinels = [] }: RedisAddress): string => {
  const { hostname, port } = new URL(url);
  if (sentinels.length === 0) return `Redis at ${hostname}:${port || 6379}`;
  const list = sentinels.map((sentinel) => `${sentinel.host}:${sentinel.port}`).join(', ');
  return `Redis "${hostname}" of the Sentinels ${list}`;
};

const isReply = (err: unknown): err is Error => err instanceof Error && err.name === 'ReplyError';

// EXECABORT says only that another command of the transaction was refused.
const firstErrorOf = (err: unknown): unknown =>
  isReply(err) && 'previousErrors' in err && Array.isArray(err.previousErrors)
    ? (err.previousErrors[0] ?? err)
    : err;

const isOfConnection = (err: unknown): boolean =>
  err instanceof Error && codeOf(err) !== undefined && !(err instanceof UnacknowledgedError);

// The text of any other error may quote what it failed to read.
const isPlain = (err: unknown): boolean => err instanceof Error && err.constructor === Error;

const SCRIPT_POSITION = /\.? script: \w+, on @?\w+:\d+\.?$/;
// Redis 6 reports a refusal within a script as ERR, with the refusal at the end.
const WITHIN_SCRIPT = /@user_script: ?\d+: -?([A-Z]{3,}[A-Z0-9_]* .*)$/;
const NO_PERMISSION_WITHIN_SCRIPT =
  /^ERR (?:The user executing the script can't run this command|ACL failure in script)/;

/** The first word of a refusal, and its text without the position in a script. */
const parseReply = (reply: string): { code: string; text: string } => {
  const [, inner] = WITHIN_SCRIPT.exec(reply) ?? [];
  const text = (inner ?? reply).replace(SCRIPT_POSITION, '').replace(/\.$/, '');
  if (NO_PERMISSION_WITHIN_SCRIPT.test(text)) return { code: 'NOPERM', text };
  return { code: /^[A-Z][A-Z0-9_]+(?= |$)/.exec(text)?.[0] ?? 'ERR', text };
};
