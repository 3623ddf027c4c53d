import type { Redis } from 'ioredis';
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
};

/**
 * Waits for replicas. Replication is one ordered stream, so a replica that has a write made now has all
 * writes that were acknowledged before. One small write, the fence, therefore serves many callers.
 */
export const createReplication = ({ writer, connect, prefix, needed }: Deps) => {
  if (needed === 0) return { waitForReplicas: async () => {}, close: () => {} };

  let fenceClient: Redis | undefined;
  let lostAt = Number.NEGATIVE_INFINITY;
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | undefined;
  writer.on('close', () => {
    lostAt = performance.now();
  });

  const writeFence = async (): Promise<void> => {
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
  };

  return {
    waitForReplicas: async (since: number): Promise<void> => {
      // The running fence may precede the caller's writes, so all callers meanwhile share the next one.
      next ??= running.then(() => {
        next = undefined;
        const fence = writeFence();
        running = fence.catch(() => {});
        return fence;
      });
      await next;
      // A master that is gone may have acknowledged the earlier writes, and they are gone with it.
      if (lostAt > since) {
        const message = 'The connection to Redis was lost during the writes. Repeat them.';
        throw new UnacknowledgedError('CONNECTION_LOST', message);
      }
    },
    close: (): void => fenceClient?.disconnect(),
  };
};

const runIdOf = (info: unknown): string | undefined => /run_id:(\w+)/.exec(String(info))?.[1];
