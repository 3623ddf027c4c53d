import type { Redis } from 'ioredis';
import type { QueueName } from '../backend.ts';
import type { JobSource } from '../jobSource.ts';
import type { MasterWatch } from './masterConnections.ts';

type Deps = {
  watch: Pick<MasterWatch, 'untilSettled'>;
  client: Pick<Redis, 'mget'>;
  prefix: string;
  name: QueueName;
};

/**
 * Lets jobs run only while no failover is under way. The former master may hand out jobs that the new one
 * hands out too, and their signals would be sent twice.
 */
export const holdWhileInDoubt = (
  { watch, client, prefix, name }: Deps,
  source: JobSource,
): JobSource => ({
  ...source,
  confirm: async (jobs, abort) => {
    const waited = await watch.untilSettled(abort);
    if (!waited || jobs.length === 0) return jobs;
    // BullMQ 6.7.0 stores the lock beside the job. The present master may not know it.
    const keys = jobs.map(({ id }) => `${prefix}:${name}:${id}:lock`);
    const locks = await client.mget(...keys).catch(() => []);
    return jobs.filter(({ lock }, n) => locks[n] === lock);
  },
});
