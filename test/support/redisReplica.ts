import { Redis } from 'ioredis';

import { type RedisServer, startRedis } from './redisServer.ts';
import { waitFor } from './waitFor.ts';

/** A Redis that starts to replicate at once. By default it waits 5 s for more replicas. */
export const startMaster = (): Promise<RedisServer> =>
  startRedis(undefined, ['--repl-diskless-sync-delay', '0']);

/** Resolves when the replica has caught up with the master. */
export const startReplicaOf = async (master: RedisServer): Promise<RedisServer> => {
  const replica = await startRedis(undefined, ['--replicaof', '127.0.0.1', String(master.port)]);
  const client = new Redis(replica.url);
  await waitFor(async () => (await client.info()).includes('master_link_status:up'));
  client.disconnect();
  return replica;
};
