import type { Redis } from 'ioredis';
import { nextFlight } from '../../runtime/async.ts';
import { UnacknowledgedError } from '../failure.ts';
import { runPipeline } from './commands.ts';

const WAIT_TIMEOUT_MS = 1_000;

type Deps = {
  /** The connection whose writes are waited for. */
  writer: Redis;
  /** Opens a second connection: WAIT blocks its connection, and would delay all commands of the writer. */
  connect: () => Redis;
  prefix: string;
  /** How many replicas must have the writes. 0: does not wait. */
  needed: number;
  /** With Sentinels: rejects unless they name the server of the writer as the master. */
  confirmMaster?: (() => Promise<void>) | undefined;
};

/**
 * Waits for replicas and Sentinels. Replication is one ordered stream, so a replica that has a write made
 * now has all writes that were acknowledged before. One small write, the fence, therefore serves many
 * callers. So does one question to the Sentinels.
 */
export const createReplication = ({ writer, connect, prefix, needed, confirmMaster }: Deps) => {
  const fence = createFence({ writer, connect, prefix, needed });
  const checks = [
    ...(needed === 0 ? [] : [nextFlight(fence.write)]),
    ...(confirmMaster === undefined ? [] : [confirmMaster]),
  ];
  if (checks.length === 0) return { waitForReplicas: async () => {}, close: () => {} };

  let lostAt = Number.NEGATIVE_INFINITY;
  writer.on('close', () => {
    lostAt = performance.now();
  });

  return {
    waitForReplicas: async (since: number): Promise<void> => {
      await Promise.all(checks.map((check) => check()));
      // A master that is gone may have acknowledged the earlier writes, and they are gone with it.
      if (lostAt > since) {
        const message = 'The connection to Redis was lost during the writes. Repeat them.';
        throw new UnacknowledgedError('CONNECTION_LOST', message);
      }
    },
    close: fence.close,
  };
};

const createFence = ({ writer, connect, prefix, needed }: Omit<Deps, 'confirmMaster'>) => {
  let fenceClient: Redis | undefined;

  return {
    write: async (): Promise<void> => {
      fenceClient ??= connect();
      const [writerInfo, [fenceInfo, , reached]] = await Promise.all([
        writer.info('server'),
        // One pipeline: if the connection is lost, ioredis rejects the whole pipeline. It would send a
        // separate WAIT over a new connection, which has no writes to wait for.
        runPipeline(
          fenceClient
            .pipeline()
            .info('server')
            .set(`${prefix}:replication-fence`, Date.now())
            .wait(needed, WAIT_TIMEOUT_MS),
        ),
      ]);
      // After a failover, or while two servers act as master, the fence may be on another server.
      if (runIdOf(writerInfo) !== runIdOf(fenceInfo)) {
        throw new UnacknowledgedError('FAILOVER', 'Redis is changing its master');
      }
      if (Number(reached) < needed) {
        const message = `${reached} of ${needed} replicas (WAIT_REPLICAS) have the write`;
        throw new UnacknowledgedError('WAIT_REPLICAS', message);
      }
    },
    close: (): void => fenceClient?.disconnect(),
  };
};

const runIdOf = (info: unknown): string | undefined => /run_id:(\w+)/.exec(String(info))?.[1];
