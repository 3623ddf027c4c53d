import { Redis } from 'ioredis';

import { type RedisServer, startRedis } from './redisServer.ts';
import { waitFor } from './waitFor.ts';

/** A Redis that lets its replicas in at once, rather than wait for more of them to come. */
export const startMaster = (): Promise<RedisServer> =>
  startRedis(undefined, ['--repl-diskless-sync-delay', '0']);

/** Resolves once it has all that the master has. */
export const startReplicaOf = async (master: RedisServer): Promise<RedisServer> => {
  const replica = await startRedis(undefined, ['--replicaof', '127.0.0.1', String(master.port)]);
  const client = new Redis(replica.url);
  await waitFor(async () => (await client.info()).includes('master_link_status:up'));
  client.disconnect();
  return replica;
};
