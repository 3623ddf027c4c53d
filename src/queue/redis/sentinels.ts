import { Redis } from 'ioredis';
import { isObject } from '../../schemas/json.ts';
import type { SafetyFinding } from '../backend.ts';

// Longer than a Sentinel that works needs, short enough to wait for on every acceptance.
const ANSWER_TIMEOUT_MS = 500;
// A frozen Sentinel accepts connections and costs the timeout each time, so it is not tried more often.
const RECONNECT_DELAY_MS = 2_000;
// A Sentinel pings the master every second. A master that works answers within milliseconds.
const MAX_PING_MS = 500;

export type Endpoint = { host: string; port: number };

/** What one Sentinel says of the master. */
export type SentinelView = {
  master: Endpoint;
  /** Grows with each failover. The newest configuration has the highest. */
  epoch: number;
  /** The master answers this Sentinel. */
  reached: boolean;
  /** A quorum agrees that the master is down, or the failover has begun. */
  failingOver: boolean;
};

/** One view per configured Sentinel; `undefined` for one that did not answer. */
export type SentinelViews = readonly (SentinelView | undefined)[];

type Options = {
  endpoints: readonly Endpoint[];
  /** The name of the master. */
  name: string;
  /** For the Sentinels themselves. */
  access?: SentinelAccess;
};

export type SentinelAccess = { username?: string; password?: string; family?: number };

/** Asks the Sentinels over connections of its own, which the first question opens. */
export const createSentinels = ({ endpoints, name, access = {} }: Options) => {
  const sentinels = endpoints.map((endpoint) => createSentinel({ ...endpoint, ...access }, name));
  return {
    ask: (): Promise<SentinelViews> => Promise.all(sentinels.map(({ ask }) => ask())),
    close: (): void => {
      for (const { close } of sentinels) close();
    },
  };
};

const createSentinel = (endpoint: Endpoint & SentinelAccess, name: string) => {
  const client = new Redis({
    ...endpoint,
    lazyConnect: true,
    // A Sentinel that is away is reported at once, not after the timeout.
    enableOfflineQueue: false,
    enableReadyCheck: false,
    connectTimeout: ANSWER_TIMEOUT_MS,
    commandTimeout: ANSWER_TIMEOUT_MS,
    retryStrategy: () => RECONNECT_DELAY_MS,
  });
  // The connection to the master logs the loss of all Sentinels. The loss of one changes nothing.
  client.on('error', () => {});
  let opening: Promise<void> | undefined;

  return {
    ask: async (): Promise<SentinelView | undefined> => {
      opening ??= client.connect().catch(() => {});
      await opening;
      try {
        return toView(await client.call('SENTINEL', 'MASTER', name));
      } catch (err) {
        const isLate = err instanceof Error && err.message === 'Command timed out';
        if (isLate && client.status === 'ready') client.disconnect(true);
        return undefined;
      }
    },
    close: (): void => client.disconnect(),
  };
};

const toView = (answer: unknown): SentinelView | undefined => {
  const facts = Array.isArray(answer)
    ? Object.fromEntries(answer.flatMap((name, at) => (at % 2 ? [] : [[name, answer[at + 1]]])))
    : answer;
  if (!isObject(facts) || typeof facts.ip !== 'string') return undefined;
  const flags = new Set(String(facts.flags).split(','));
  const has = (...names: string[]) => names.some((flag) => flags.has(flag));
  return {
    master: { host: facts.ip, port: Number(facts.port) },
    epoch: Number(facts['config-epoch']),
    reached: !has('s_down', 'disconnected') && Number(facts['last-ping-sent']) <= MAX_PING_MS,
    failingOver: has('o_down', 'failover_in_progress'),
  };
};

/** The master by the newest configuration. A Sentinel that is cut off keeps an older one. */
export const newestMaster = (views: SentinelViews): Endpoint | undefined =>
  views.reduce<SentinelView | undefined>(
    (newest, view) => (view !== undefined && isNewer(view, newest) ? view : newest),
    undefined,
  )?.master;

/**
 * The Sentinel that leads a failover raises its epoch first, and shows the former master until all replicas
 * follow the new one. The other Sentinels show the new one under the same epoch.
 */
const isNewer = (view: SentinelView, newest: SentinelView | undefined): boolean =>
  newest === undefined ||
  view.epoch > newest.epoch ||
  (view.epoch === newest.epoch && newest.failingOver && !view.failingOver);

export const isSame = (one: Endpoint | undefined, other: Endpoint | undefined): boolean =>
  one !== undefined && one.host === other?.host && one.port === other.port;

/**
 * Why a failover may discard what is written to `server` now; `undefined` if nothing points to one. A
 * failover needs the votes of more than half of the Sentinels. While at least half reach the master, the
 * others are too few for one.
 */
export const findDoubt = (
  views: SentinelViews,
  server: Endpoint | undefined,
): string | undefined => {
  if (!isSame(newestMaster(views), server)) {
    return views.some((view) => view !== undefined)
      ? 'the Sentinels (REDIS_SENTINELS) name another master'
      : 'no Sentinel (REDIS_SENTINELS) answers';
  }
  const agreeing = views.filter((view) => isSame(view?.master, server));
  if (agreeing.some((view) => view?.failingOver)) {
    return 'the Sentinels (REDIS_SENTINELS) are replacing the master';
  }
  const reaching = agreeing.filter((view) => view?.reached).length;
  return 2 * reaching >= views.length
    ? undefined
    : `only ${reaching} of ${views.length} Sentinels (REDIS_SENTINELS) reach the master`;
};

/** Whether signals are accepted, and how many Sentinels can be lost. */
export const checkSentinels = (
  views: SentinelViews,
  server: Endpoint | undefined,
): SafetyFinding => {
  const doubt = findDoubt(views, server);
  if (doubt !== undefined) {
    return { subject: 'Sentinels', level: 'error', message: `${doubt}; signals are refused` };
  }
  const answering = views.filter((view) => view !== undefined).length;
  return {
    subject: 'Sentinels',
    level: answering < views.length ? 'warning' : 'ok',
    message: `${answering} of ${views.length} answer`,
  };
};
