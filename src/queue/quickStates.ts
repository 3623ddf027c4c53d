import { type BackendFactory, createRedisBackend, type RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';

import { defineScript } from './redis/commands.ts';

// In the order in which they are looked at: the list of those in hand is short.
const LISTS = ['completed', 'failed', 'delayed', 'prioritized', 'waiting-children'] as const;
const STATES = [...LISTS, 'active', 'waiting', 'unknown'] as const;

/**
 * BullMQ's own backend, but that the state of a job is found without a search through all that wait: with a
 * million of them BullMQ's takes Redis some 48 ms, in which it serves nobody else.
 */
export const createQuickStates =
  (client: Redis): BackendFactory<RedisQueueBackend> =>
  (name, opts, connections) => {
    const backend = createRedisBackend(name, opts, connections);
    const readJobState = defineScript(client, 'readJobState');
    const lists = ['active', ...LISTS].map((list) => backend.toKey(list));

    backend.getState = async (jobId) => {
      const answer = await readJobState([backend.toKey(jobId), ...lists], [jobId, ...LISTS]);
      return STATES.find((state) => state === answer) ?? 'unknown';
    };
    return backend;
  };
