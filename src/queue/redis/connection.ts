import { Redis, type RedisOptions } from 'ioredis';
import { createThrottle, type Logger } from '../../observability/logger.ts';
import { redact } from '../../observability/redact.ts';
import { messageOf } from '../../runtime/errors.ts';

const COMMAND_TIMEOUT_MS = 2_000;
// A Redis on a slow disk is silent for two seconds at times (appendfsync everysec), and yet alive.
const SILENCE_MS = 3_000;
// BullMQ's blocking commands, on connections made like this one, are silent for up to 10 seconds by
// design; a lock must be renewed within 15. Between the two, a silent connection is a dead one.
const PATIENCE_MS = 12_000;
const CONNECT_TIMEOUT_MS = 3_000;
const SENTINEL_TIMEOUT_MS = 1_000;
const LONGEST_RETRY_MS = 500;
const LOG_EVERY_MS = 10_000;

/**
 * `fail-fast` for whoever answers a caller: an error soon beats a hang. `patient` for workers, whose
 * blocking commands wait by design and who have nobody to tell.
 */
export type ConnectionProfile = 'fail-fast' | 'patient';

export type Sentinel = { host: string; port: number };

export type RedisAddress = {
  /** With Sentinels, its host is the name of the master. */
  url: string;
  sentinels?: readonly Sentinel[] | undefined;
};

// `socketTimeout` is what notices a connection whose packets vanish: no answer for so long, and it is
// given up for a new one.
const TEMPERS = {
  'fail-fast': {
    maxRetriesPerRequest: 1,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SILENCE_MS,
    // Giving up each second time round is what rejects the commands that wait; see `keepAsking`.
    sentinelRetryStrategy: (times) => (times % 2 === 0 ? null : LONGEST_RETRY_MS),
  },
  patient: {
    maxRetriesPerRequest: null,
    socketTimeout: PATIENCE_MS,
    sentinelRetryStrategy: () => LONGEST_RETRY_MS,
  },
} satisfies Record<ConnectionProfile, RedisOptions>;

/** Connects by itself, and again after every loss, to whoever is the master then. */
export const connectRedis = (
  { url, sentinels = [] }: RedisAddress,
  profile: ConnectionProfile,
  logger: Logger,
): Redis => {
  const client = new Redis(url, {
    ...TEMPERS[profile],
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...reconnecting(logger),
    ...(sentinels.length === 0 ? {} : viaSentinels(url, sentinels)),
  });
  if (sentinels.length > 0) keepAsking(client);
  const wordsOf = createDescribeError(url);
  let isDue = createThrottle(LOG_EVERY_MS);
  let lost = false;

  client.on('error', (err: NodeJS.ErrnoException) => {
    if (!isDue()) return;
    lost = true;
    logger.error({ code: err.code, reason: wordsOf(err) }, 'Redis is not reachable');
  });
  client.on('ready', () => {
    if (lost) logger.info('Redis is reachable again');
    lost = false;
    // The next loss is another one.
    isDue = createThrottle(LOG_EVERY_MS);
  });

  return client;
};

const reconnecting = (logger: Logger) => {
  let demoted = false;
  const isDue = createThrottle(LOG_EVERY_MS);
  return {
    // A master that became a replica: the command was not carried out, and is sent again (2) to
    // whoever the address leads to by now.
    reconnectOnError: (err) => {
      if (!err.message.includes('READONLY')) return false;
      if (isDue()) {
        logger.error({ reason: err.message }, 'Redis is a replica; asking for the master again');
      }
      demoted = true;
      return 2;
    },
    retryStrategy: (times) => {
      // A replica takes connections gladly, so that nothing else would slow this down.
      const waitMs = demoted ? LONGEST_RETRY_MS : Math.min(times * 50, LONGEST_RETRY_MS);
      demoted = false;
      return waitMs;
    },
  } satisfies RedisOptions;
};

const viaSentinels = (url: string, sentinels: readonly Sentinel[]) =>
  ({
    sentinels: [...sentinels],
    name: new URL(url).hostname,
    // A frozen Sentinel takes connections, and would be waited for without end.
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    enableTLSForSentinelMode: url.startsWith('rediss:'),
  }) satisfies RedisOptions;

/** ioredis ends a connection for good once its Sentinels are given up: it is begun anew. */
const keepAsking = (client: Redis): void => {
  let givenUp = false;
  client.on('error', (err) => {
    givenUp = err.message.startsWith('All sentinels are unreachable and retry is disabled');
  });
  client.on('end', () => {
    if (givenUp) client.connect().catch(() => {});
    givenUp = false;
  });
};

// A Redis that does not know AUTH repeats what it was given with it: the password.
const REPEATED = /,? with args beginning with:.*/s;
// A shorter one may be a word of the message, and a mask in its place would give it away.
const LEAST_SECRET = 12;

/** What an error of a connection says, in one line and without secrets. */
export const createDescribeError = (url: string) => {
  const secrets = secretsOf(url);
  return (err: unknown): string => {
    const words = messageOf(err).replace(REPEATED, '').replace(/\s+/g, ' ').trim();
    return redact(words, secrets);
  };
};

/** The same with the code, where the words lack it. */
export const createDescribeConnectionError = (url: string) => {
  const wordsOf = createDescribeError(url);
  return (err: unknown): string => {
    const words = wordsOf(err);
    const code = err instanceof Error && 'code' in err ? String(err.code) : '';
    return words.includes(code) ? words : `${code}: ${words}`;
  };
};

const secretsOf = (url: string): string[] => {
  if (!URL.canParse(url)) return [];
  const { password, searchParams } = new URL(url);
  const named = [...searchParams].filter(([name]) => /password/i.test(name));
  return [password, ...named.map(([, value]) => value)].filter(
    (secret) => secret.length >= LEAST_SECRET,
  );
};
