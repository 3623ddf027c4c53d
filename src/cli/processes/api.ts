import { apiPort, type Config, loadConfig, shutdownGraceMs } from '../../config/config.ts';
import { typeLabel } from '../../observability/metrics.ts';
import { createApp } from '../../producer/api/app.ts';
import { serve } from '../../runtime/httpServer.ts';
import { runUntilTerminated } from '../../runtime/lifecycle.ts';
import { createEraseApplication } from '../../seekTokens/eraseApplication.ts';
import { guardRedis } from './guardRedis.ts';
import { startTracing } from './otelSdk.ts';
import { onPort } from './probesServer.ts';
import { openService, type Service } from './service.ts';
import { watchSecrets } from './watchSecrets.ts';

const REQUIRED = ['REDIS_URL', 'API_KEYS'] as const;

/** `seek-signals api`: accepts signals over HTTP. */
export const api = async (
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const config = loadConfig(env, REQUIRED, 'api');
  const service = openService(config, 'fail-fast');
  const run = async (): Promise<string> => {
    const { failedPrecondition } = await guardRedis(service, {
      allowUnsafe: config.ALLOW_UNSAFE_REDIS,
    });
    const tracer = await startTracing(config, service, 'api');
    const secrets = watchSecrets({ env, required: REQUIRED, command: 'api' }, service);
    const { url } = await onPort(
      (port) => startApi({ ...service, tracer }, config, port, secrets),
      apiPort(config),
      'API_PORT',
    );
    service.logger.info({ url }, 'API listening');
    return failedPrecondition;
  };
  return runUntilTerminated({
    ...service,
    termination,
    run,
    timeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  });
};

/** Builds the API on a service, and serves it until the service closes. */
export const startApi = async (
  service: Service,
  config: Config<'API_KEYS'>,
  port: number,
  secrets: () => Pick<Config<'API_KEYS'>, 'API_KEYS'> = () => config,
) => {
  const { backend, logger, closers, metrics, probes, tracer } = service;
  const { lookup, search, deadLetters, seekTokens, positions } = service;
  const onAccepted = (typeCode: string) => metrics.accepted.inc({ type: typeLabel(typeCode) });
  const stopping = new AbortController();
  const app = createApp({
    apiKeys: () => secrets().API_KEYS,
    enqueue: await service.openEnqueue(onAccepted),
    find: lookup.find,
    search,
    deadLetters,
    exportDeadLetters: service.exportDeadLetters,
    importDeadLetters: service.importDeadLetters,
    seekTokens,
    positions,
    ...(await service.openRecorders()),
    eraseApplication: createEraseApplication({ backend, tokens: seekTokens, deadLetters }),
    onDiscarded: () => metrics.skipped.inc({ reason: 'discarded' }),
    status: service.status,
    explainFailure: backend.explainFailure,
    probes,
    logger,
    tracer,
    stopping: stopping.signal,
    logBodies: config.LOG_BODIES,
  });
  const server = await serve(app, { host: config.API_HOST, port });
  closers.add('api', () => {
    stopping.abort();
    return server.close(shutdownGraceMs(config));
  });
  return server;
};
