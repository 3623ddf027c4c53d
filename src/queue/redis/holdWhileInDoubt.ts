import { WaitingError } from 'bullmq';
import type { Redis } from 'ioredis';
import type { JobProcessor, QueueName } from '../backend.ts';
import type { MasterWatch } from './masterConnections.ts';

type Deps = {
  watch: Pick<MasterWatch, 'untilSettled'>;
  client: Pick<Redis, 'get'>;
  prefix: string;
  name: QueueName;
};

/**
 * Runs a job only while no failover is under way. The former master may hand out jobs that the new one
 * hands out too, and their signals would be sent twice.
 */
export const holdWhileInDoubt =
  <Result>(
    { watch, client, prefix, name }: Deps,
    process: JobProcessor<Result>,
  ): JobProcessor<Result> =>
  async (job, lock, abort) => {
    const waited = await watch.untilSettled(abort);
    // BullMQ 6.7.0 stores the lock beside the job. The present master may not know it.
    if (!waited) return process(job, lock, abort);
    const stored = await client.get(`${prefix}:${name}:${job.id}:lock`).catch(() => undefined);
    if (stored !== lock) throw new WaitingError();
    return process(job, lock, abort);
  };
