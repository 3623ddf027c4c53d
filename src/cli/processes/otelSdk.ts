import type { SpanExporter } from '@opentelemetry/sdk-trace-node';

import { type Config, tracesUrlOf } from '../../config/config.ts';
import type { Logger } from '../../observability/logger.ts';
import { createThrottle } from '../../observability/logger.ts';
import { openTracer, type Tracer } from '../../observability/tracing.ts';
import { withDeadline } from '../../runtime/async.ts';
import type { Closers } from '../../runtime/lifecycle.ts';
import { packageInfo } from '../../runtime/packageInfo.ts';

// Of the three seconds that are left for closing, the queue wants some.
const FLUSH_WITHIN_MS = 1_000;
const WARN_EVERY_MS = 60_000;

type Deps = { closers: Closers; logger: Logger };

/**
 * Starts OpenTelemetry's SDK where the configuration names a collector; what else it is told by its own
 * variables (`OTEL_…`), it reads by itself. Without one, none of it is loaded. Whatever becomes of
 * traces, signals go on: spans that can't be exported are dropped.
 */
export const startTracing = async (
  config: Config,
  { closers, logger }: Deps,
  command: string,
): Promise<Tracer | undefined> => {
  const url = tracesUrlOf(config);
  if (url === undefined) return undefined;
  try {
    const { close } = await startSdk({ url, command, logger, isJson: speaksJson(config) });
    closers.add('tracing', close);
  } catch (err) {
    logger.error({ err }, 'Tracing could not be started');
    return undefined;
  }
  return openTracer();
};

const speaksJson = (config: Config): boolean =>
  (config.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? config.OTEL_EXPORTER_OTLP_PROTOCOL) === 'http/json';

type Sdk = { url: string; command: string; isJson: boolean; logger: Logger };

const startSdk = async ({ url, command, isJson, logger }: Sdk) => {
  const complain = createWarn(logger, 'Tracing is not as it should be');
  const lost = createWarn(logger, 'Traces are not exported');
  const [api, sdk, resources, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/resources'),
    isJson
      ? import('@opentelemetry/exporter-trace-otlp-http')
      : import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  const log = {
    error: complain,
    warn: complain,
    info: () => {},
    debug: () => {},
    verbose: () => {},
  };
  api.diag.setLogger(log, { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true });

  const named = resources.resourceFromAttributes({
    'service.name': `seek-signals-${command}`,
    'service.version': packageInfo.version,
  });
  const told = resources.detectResources({ detectors: [resources.envDetector] });
  const provider = new sdk.NodeTracerProvider({
    resource: resources.defaultResource().merge(named).merge(told),
    spanProcessors: [new sdk.BatchSpanProcessor(watch(new OTLPTraceExporter({ url }), lost))],
  });
  // No trace context leaves but in our own jobs: SEEK does not ask for it.
  provider.register({ propagator: null });

  const late = () => new Error(`not done within ${FLUSH_WITHIN_MS} ms`);
  return {
    close: (): Promise<void> =>
      withDeadline(provider.shutdown(), FLUSH_WITHIN_MS, late).catch((err) => lost(reasonOf(err))),
  };
};

type Warn = (reason: string) => void;

/** Tells of failures in words of ours: the SDK would print the whole error, the answer included. */
const watch = (exporter: SpanExporter, warn: Warn): SpanExporter => ({
  export: (spans, done) =>
    exporter.export(spans, ({ code, error }) => {
      if (code !== 0) warn(reasonOf(error));
      done({ code: 0 });
    }),
  shutdown: () => exporter.shutdown(),
  forceFlush: async () => exporter.forceFlush?.(),
});

const reasonOf = (err: unknown): string => {
  if (!(err instanceof Error)) return 'unknown';
  const code = 'code' in err ? String(err.code) : '';
  return [code, err.message].filter((part) => part !== '').join(': ') || err.name;
};

/** A collector that is away says so with every export. */
const createWarn = (logger: Logger, message: string): Warn => {
  const isDue = createThrottle(WARN_EVERY_MS);
  return (reason) => {
    if (isDue()) logger.warn({ reason: reason.slice(0, 200) }, message);
  };
};
