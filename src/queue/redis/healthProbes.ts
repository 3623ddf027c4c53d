import type { Redis } from 'ioredis';
import { singleFlight } from '../../runtime/async.ts';
import type { Backend } from '../backend.ts';
import { defineScript } from './commands.ts';

const DISCONNECTED: ReadonlySet<string> = new Set(['reconnecting', 'close', 'end']);
// Long enough to outlive the interval of any health check, so that the key is overwritten and not added.
const KEY_TTL_MS = 3_600_000;

type Deps = { client: Redis; prefix: string };

/**
 * The questions of health checks. Each has one command on its way at most: during an outage, commands of
 * health checks must not pile up.
 */
export const createHealthProbes = ({
  client,
  prefix,
}: Deps): Pick<Backend, 'ping' | 'checkRead' | 'checkWrite'> => {
  const key = `${prefix}:health`;
  const checkWrite = defineScript(client, 'checkWrite');
  const whileConnected = (ask: () => Promise<unknown>) => {
    const askOnce = singleFlight(ask);
    return async (): Promise<void> => {
      if (DISCONNECTED.has(client.status)) throw new Error('Connection is closed.');
      await askOnce();
    };
  };

  return {
    ping: whileConnected(() => client.ping()),
    checkRead: whileConnected(() => client.exists(key)),
    checkWrite: whileConnected(() => checkWrite([key], [Date.now(), KEY_TTL_MS])),
  };
};
