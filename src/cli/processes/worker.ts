import { setFlagsFromString } from 'node:v8';

import { loadConfig } from '../../config/config.ts';
import { runUntilTerminated } from '../../runtime/lifecycle.ts';
import { startWorker } from '../../worker/startWorker.ts';
import { guardRedis } from './guardRedis.ts';
import { startTracing } from './otelSdk.ts';
import { serveProbes } from './probesServer.ts';
import { openService } from './service.ts';
import { watchSecrets } from './watchSecrets.ts';

// The objects of a signal become garbage within a second. By default V8 lets the heap grow to four times the
// size of its live objects before it collects; this limits it to 1.6 times.
// docs/operations/performance.md has the measurement.
const HEAP_GROWING_PERCENT = 60;

const REQUIRED = ['REDIS_URL', 'SEEK_CLIENT_ID', 'SEEK_CLIENT_SECRET'] as const;

/** `seek-signals worker`: takes signals from the queue and delivers them to SEEK. */
export const worker = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const config = loadConfig(env, REQUIRED, 'worker');
  const service = openService(config, 'patient', { need: 'write' });
  const run = async (): Promise<string> => {
    const { failedPrecondition } = await guardRedis(service, {
      allowUnsafe: config.ALLOW_UNSAFE_REDIS,
      uses: ['work'],
    });
    const url = await serveProbes(service, config);
    const tracer = await startTracing(config, service, 'worker');
    const { concurrency } = await startWorker({
      ...service,
      tracer,
      config,
      secrets: watchSecrets({ env, required: REQUIRED, command: 'worker' }, service),
    });
    service.logger.info({ metrics: url, concurrency }, 'Worker started');
    return failedPrecondition;
  };
  return runUntilTerminated({
    ...service,
    termination,
    run,
    timeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  });
};
