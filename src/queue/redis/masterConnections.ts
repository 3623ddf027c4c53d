import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, type RedisOptions } from 'ioredis';
import { nextFlight } from '../../runtime/async.ts';
import type { SafetyFinding } from '../backend.ts';
import { UnacknowledgedError } from '../failure.ts';
import {
  checkSentinels,
  type Endpoint,
  findDoubt,
  isSame,
  newestMaster,
  type SentinelViews,
} from './sentinels.ts';

const RETRY_DELAY_MS = 500;
const WATCH_INTERVAL_MS = 500;
const HOLD_INTERVAL_MS = 200;
// A failover takes `down-after-milliseconds`, 30 s by default, and some seconds more.
const MAX_HOLD_MS = 40_000;
const DISCONNECT_TIMEOUT_MS = 2_000;

type Deps = {
  ask: () => Promise<SentinelViews>;
  /** After how many questions without an answer a connection gives up. */
  maxQuestions: number;
  tls: boolean;
  /** Monotonic, in milliseconds. */
  now?: () => number;
  /** The IP version, as Node's `connect` takes it. */
  family?: number;
};

export type MasterWatch = {
  /** Rejects unless the Sentinels name the server as the master, and at least half of them reach it. */
  confirm: () => Promise<void>;
  /**
   * Waits while the Sentinels that answer doubt the server, at most `MAX_HOLD_MS`, or until `abort`.
   * Resolves with whether it waited.
   */
  untilSettled: (abort: AbortSignal | undefined) => Promise<boolean>;
  inspect: () => Promise<SafetyFinding>;
};

export type MasterConnections = {
  Connector: NonNullable<RedisOptions['Connector']>;
  /** Watches the server that the socket leads to; `currentSocket` gives the socket at the time. */
  watch: (currentSocket: () => Socket) => MasterWatch;
  close: () => void;
};

/** The error with which a connection gives up. See `reconnectAfterEnd` in connection.ts. */
export const NO_SENTINEL = 'No Sentinel (REDIS_SENTINELS) names the master';

/**
 * Connects to the master that the Sentinels name, and leaves it when they name another one. ioredis takes
 * the answer of the first Sentinel, which is the former master if that Sentinel is cut off with it.
 * Its `failoverDetector` misses a failover while it reconnects to a Sentinel, and connects by the same
 * answer.
 */
export const createMasterConnections = ({
  maxQuestions,
  tls,
  family = 0,
  now = () => performance.now(),
  ...deps
}: Deps): MasterConnections => {
  const ask = nextFlight(deps.ask);
  /** The open sockets, and the server that each leads to. */
  const servers = new Map<Socket, Endpoint>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const onViews: ((views: SentinelViews) => unknown)[] = [];

  /** Closes the connections to all other servers. Their clients connect again. */
  const leaveOthers = (views: SentinelViews): void => {
    const master = newestMaster(views);
    if (master === undefined) return;
    for (const [socket, server] of servers) {
      // A server that is cut off would not answer a graceful end.
      if (!isSame(server, master)) socket.destroy();
    }
  };

  // Commands that block and connections without callers learn of a failover only from this.
  const startWatching = (): void => {
    timer ??= setInterval(() => {
      if (servers.size === 0) return;
      void ask().then((views) => {
        leaveOthers(views);
        for (const onView of onViews) onView(views);
      });
    }, WATCH_INTERVAL_MS).unref();
  };

  const findMaster = async (
    isWanted: () => boolean,
    onFailure: (err: Error) => void,
  ): Promise<Endpoint> => {
    for (let questions = 1; ; questions += 1) {
      const master = closed ? undefined : newestMaster(await ask());
      // Another error: after NO_SENTINEL, the client would connect again although it was closed.
      if (closed || !isWanted()) throw new Error('Connection is closed.');
      if (master !== undefined) return master;
      if (questions >= maxQuestions) throw new Error(NO_SENTINEL);
      onFailure(new Error(`${NO_SENTINEL}; asking again`));
      await delay(RETRY_DELAY_MS);
    }
  };

  const open = (server: Endpoint): Socket => {
    const address = { ...server, family };
    const socket = tls ? connectTls(address) : connectTcp(address);
    servers.set(socket, server);
    socket.once('close', () => servers.delete(socket));
    startWatching();
    return socket;
  };

  // ioredis constructs connectors itself, one for each client and each duplicate of a client.
  class MasterConnector extends AbstractConnector {
    constructor() {
      super(DISCONNECT_TIMEOUT_MS);
    }

    override check({ role }: { role?: string }): boolean {
      return role === undefined || role === 'master';
    }

    override async connect(emit: (event: string, err: Error) => void): Promise<Socket> {
      this.connecting = true;
      const master = await findMaster(
        () => this.connecting,
        (err) => emit('error', err),
      );
      this.stream = open(master);
      this.stream.once('error', (err: Error) => {
        this.firstError = err;
      });
      return this.stream;
    }
  }

  return {
    Connector: MasterConnector,
    watch: (currentSocket) => {
      /** When the doubt that lasts began. Delivery is held for a limited time per doubt, not per job. */
      let doubtedSince: number | undefined;
      const isSettled = (views: SentinelViews): boolean => {
        // Sentinels that are away are no sign of a failover, and delivery must not depend on them.
        const answers = views.filter((view) => view !== undefined);
        const settled =
          answers.length === 0 || findDoubt(answers, servers.get(currentSocket())) === undefined;
        doubtedSince = settled ? undefined : (doubtedSince ?? now());
        return settled || now() - (doubtedSince ?? 0) > MAX_HOLD_MS;
      };
      onViews.push(isSettled);

      return {
        confirm: async () => {
          const server = servers.get(currentSocket());
          const views = await ask();
          leaveOthers(views);
          const doubt = findDoubt(views, server);
          if (doubt !== undefined) {
            throw new UnacknowledgedError('FAILOVER', `Redis is changing its master: ${doubt}`);
          }
        },
        inspect: async () => checkSentinels(await ask(), servers.get(currentSocket())),
        untilSettled: async (abort) => {
          for (let waited = false; ; waited = true) {
            const views = await ask();
            leaveOthers(views);
            if (isSettled(views) || abort?.aborted) return waited;
            await delay(HOLD_INTERVAL_MS);
          }
        },
      };
    },
    close: () => {
      closed = true;
      clearInterval(timer);
    },
  };
};
