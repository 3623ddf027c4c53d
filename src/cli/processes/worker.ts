import { setFlagsFromString } from 'node:v8';

import { loadConfig } from '../../config/config.ts';
import { runUntilTerminated } from '../../runtime/lifecycle.ts';
import { startWorker } from '../../worker/startWorker.ts';
import { guardRedis } from './guardRedis.ts';
import { startTracing } from './otelSdk.ts';
import { serveProbes } from './probesServer.ts';
import { openService } from './service.ts';
import { followSecrets } from './watchSecrets.ts';

// What a signal leaves behind is garbage within a second, and V8 would let it pile up to four times what
// lives: it is to collect at 1.6 times. Measured in docs/operations/performance.md.
const HEAP_GROWING_PERCENT = 60;

const REQUIRED = ['REDIS_URL', 'SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET'] as const;

/** `seek-signals worker`: drains the queue into SEEK. */
export const worker = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const config = loadConfig(env, REQUIRED);
  const service = openService(config, 'patient');
  const { unfit } = await guardRedis(service, config.ALLOW_UNSAFE_REDIS);
  const url = await serveProbes(service, config);
  const tracer = await startTracing(config, service, 'worker');
  const { concurrency } = await startWorker({
    ...{ ...service, tracer },
    ...{ config, secrets: followSecrets(env, REQUIRED, service) },
  });
  service.logger.info({ metrics: url, concurrency }, 'Worker started');
  return runUntilTerminated({
    ...service,
    ...{ termination, unfit, timeoutMs: config.SHUTDOWN_TIMEOUT_MS },
  });
};
