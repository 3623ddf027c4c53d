import { type BackendFactory, createRedisBackend, type RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { defineScript } from './commands.ts';

// The sorted sets that readJobState.lua checks, in order.
const STATE_LISTS = ['completed', 'failed', 'delayed', 'prioritized', 'waiting-children'] as const;
const STATES = [...STATE_LISTS, 'active', 'waiting', 'unknown'] as const;

/**
 * BullMQ's backend, except that it reads the state of a job without a search of the waiting list. With a
 * million waiting jobs, BullMQ 6.7.0 blocks Redis for about 48 ms per call.
 */
export const createFastJobStates =
  (client: Redis): BackendFactory<RedisQueueBackend> =>
  (name, opts, connections) => {
    const backend = createRedisBackend(name, opts, connections);
    const readJobState = defineScript(client, 'readJobState');
    const lists = ['active', ...STATE_LISTS].map((list) => backend.toKey(list));

    backend.getState = async (jobId) => {
      const answer = await readJobState([backend.toKey(jobId), ...lists], [jobId, ...STATE_LISTS]);
      return STATES.find((state) => state === answer) ?? 'unknown';
    };
    return backend;
  };
