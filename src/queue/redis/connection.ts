import { Redis, type RedisOptions } from 'ioredis';
import { createThrottle, type Logger } from '../../observability/logger.ts';
import { redact } from '../../observability/redact.ts';
import { messageOf } from '../../runtime/errors.ts';
import { isRefusedReply } from './access.ts';
import { NO_SENTINEL } from './masterConnections.ts';
import type { Endpoint } from './sentinels.ts';

const COMMAND_TIMEOUT_MS = 2_000;
// A healthy Redis on a slow disk may not answer for two seconds (appendfsync everysec).
const SOCKET_TIMEOUT_MS = 3_000;
// BullMQ's blocking commands share this connection profile and are silent for up to 10 seconds by
// design. A lock must be renewed within 15. In between, a silent connection counts as dead.
const WORKER_SOCKET_TIMEOUT_MS = 12_000;
const CONNECT_TIMEOUT_MS = 3_000;
const MAX_RECONNECT_DELAY_MS = 500;
const LOG_INTERVAL_MS = 10_000;

/**
 * `fail-fast` is for processes with callers: a command fails soon if Redis does not answer. `patient` is
 * for workers: their blocking commands wait by design, and commands wait until Redis is back.
 */
export type ConnectionProfile = 'fail-fast' | 'patient';

export type RedisAddress = {
  /** With Sentinels, the host is the name of the master. */
  url: string;
  sentinels?: readonly Endpoint[] | undefined;
};

// `socketTimeout` detects a connection whose packets are lost: it is closed, and a new one is opened.
const PROFILES = {
  'fail-fast': {
    maxRetriesPerRequest: 1,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
  },
  patient: {
    maxRetriesPerRequest: null,
    socketTimeout: WORKER_SOCKET_TIMEOUT_MS,
  },
} satisfies Record<ConnectionProfile, RedisOptions>;

/** How often a connection asks the Sentinels before the commands that wait for it are rejected. */
export const MAX_QUESTIONS: Record<ConnectionProfile, number> = {
  'fail-fast': 2,
  patient: Number.POSITIVE_INFINITY,
};

type ConnectionDeps = {
  Connector?: RedisOptions['Connector'] | undefined;
  /** Called for each READONLY that Redis answers. */
  onReadOnly?: () => void;
};

/**
 * Opens a connection that reconnects after every loss. With Sentinels, `Connector` leads it to the Redis
 * that is the master at that time.
 */
export const connectRedis = (
  url: string,
  profile: ConnectionProfile,
  logger: Logger,
  { Connector, onReadOnly = () => {} }: ConnectionDeps = {},
): Redis => {
  const client = new Redis(url, {
    ...PROFILES[profile],
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...reconnectOptions(logger, onReadOnly),
    ...(Connector === undefined ? {} : { Connector }),
  });
  if (Connector !== undefined) reconnectAfterEnd(client);
  refuseOtherDatabase(client);
  skipRefusedReadyCheck(client);
  const describeError = createDescribeError(url);
  let isLogDue = createThrottle(LOG_INTERVAL_MS);
  let lost = false;

  client.on('error', (err: NodeJS.ErrnoException) => {
    if (!isLogDue()) return;
    lost = true;
    logger.error({ code: err.code, reason: describeError(err) }, 'Redis is not reachable');
  });
  client.on('ready', () => {
    if (lost) logger.info('Redis is reachable again');
    lost = false;
    // Logs the next loss at once.
    isLogDue = createThrottle(LOG_INTERVAL_MS);
  });

  return client;
};

const reconnectOptions = (logger: Logger, onReadOnly: () => void) => {
  let demoted = false;
  const isLogDue = createThrottle(LOG_INTERVAL_MS);
  return {
    // The master became a replica and did not run the command. 2: reconnect, and send it to the Redis
    // that the address leads to now.
    reconnectOnError: (err) => {
      if (!err.message.includes('READONLY')) return false;
      onReadOnly();
      if (isLogDue()) {
        logger.error({ reason: err.message }, 'Redis is a replica; reconnecting to the master');
      }
      demoted = true;
      return 2;
    },
    retryStrategy: (times) => {
      // A replica accepts every connection, so the first delay must be the maximum.
      const waitMs = demoted
        ? MAX_RECONNECT_DELAY_MS
        : Math.min(times * 50, MAX_RECONNECT_DELAY_MS);
      demoted = false;
      return waitMs;
    },
  } satisfies RedisOptions;
};

/** Connects again when ioredis has ended the connection because no Sentinel answered. */
const reconnectAfterEnd = (client: Redis): void => {
  let gaveUp = false;
  client.on('error', (err) => {
    gaveUp = err.message === NO_SENTINEL;
  });
  client.on('end', () => {
    if (gaveUp) client.connect().catch(() => {});
    gaveUp = false;
  });
};

/**
 * Closes a connection whose database Redis refuses, and tries again. ioredis would go on with database 0, where no
 * other process looks for the signals.
 */
const refuseOtherDatabase = (client: Redis): void => {
  client.on('error', (err: Error & { command?: { name?: unknown } }) => {
    if (err.command?.name === 'select') client.disconnect(true);
  });
};

/**
 * ioredis asks with INFO whether Redis has loaded its data, before it sends anything else. A user without INFO
 * would never be ready, and every command would fail with the refusal of INFO. ioredis itself recognises
 * NOPERM only.
 */
const skipRefusedReadyCheck = (client: Redis): void => {
  client.on('error', (err: Error & { command?: { name?: unknown } }) => {
    if (err.command?.name === 'info' && isRefusedReply(err))
      client.options.enableReadyCheck = false;
  });
};

// A Redis that does not know AUTH repeats its arguments in the error, the password included.
const REPEATED_ARGUMENTS = /,? with args beginning with:.*/s;

/** Describes an error of a connection in one line, without secrets. */
export const createDescribeError = (url: string) => {
  const secrets = secretsOf(url);
  return (err: unknown): string => {
    const text = messageOf(err).replace(REPEATED_ARGUMENTS, '').replace(/\s+/g, ' ').trim();
    return redact(text, secrets);
  };
};

const secretsOf = (url: string): string[] => {
  if (!URL.canParse(url)) return [];
  const { password, searchParams } = new URL(url);
  const named = [...searchParams].filter(([name]) => /password/i.test(name));
  return [password, ...named.map(([, value]) => value)];
};
