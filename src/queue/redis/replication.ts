import type { Redis } from 'ioredis';

import { runPipeline } from './commands.ts';

const WAIT_MS = 1_000;

type Deps = {
  /** The connection whose writes are waited for. */
  writer: Redis;
  /** Opens one more like it: waiting on the writer's own would hold up everybody's commands. */
  connect: () => Redis;
  prefix: string;
  /** How many replicas must have the writes; 0: none is waited for. */
  needed: number;
};

/**
 * Waits for replicas. Replication is one ordered stream: whoever has a write made now has all that
 * were acknowledged before it. So one small write, a fence, is waited for on behalf of many callers.
 */
export const createReplicas = ({ writer, connect, prefix, needed }: Deps) => {
  if (needed === 0) return { replicated: async () => {}, close: () => {} };

  let fencer: Redis | undefined;
  let lostAt = Number.NEGATIVE_INFINITY;
  let running: Promise<unknown> = Promise.resolve();
  let coming: Promise<void> | undefined;
  writer.on('close', () => {
    lostAt = performance.now();
  });

  const fence = async (): Promise<void> => {
    fencer ??= connect();
    const [written, [fenced, , reached]] = await Promise.all([
      writer.info('server'),
      // One pipeline: ioredis gives it up rather than send its end over another connection, on which
      // there would be nothing to wait for.
      runPipeline(
        fencer
          .pipeline()
          .info('server')
          .set(`${prefix}:replication-fence`, Date.now())
          .wait(needed, WAIT_MS),
      ),
    ]);
    // After a failover, or while two think they are the master, the fence may stand elsewhere.
    if (processOf(written) !== processOf(fenced)) throw new Error('Redis is changing its master');
    if (Number(reached) < needed) {
      throw new Error(`${reached} of ${needed} replicas (WAIT_REPLICAS) have the write`);
    }
  };

  return {
    replicated: async (since: number): Promise<void> => {
      // Who comes while a fence is under way may have written after it: they share the next one.
      coming ??= running.then(() => {
        coming = undefined;
        const fenced = fence();
        running = fenced.catch(() => {});
        return fenced;
      });
      await coming;
      // What was acknowledged before may have been so by a master that is gone, and it with it.
      if (lostAt > since) throw new Error('The connection to Redis was lost amid the writes');
    },
    close: (): void => fencer?.disconnect(),
  };
};

const processOf = (info: unknown): string | undefined => /run_id:(\w+)/.exec(String(info))?.[1];
