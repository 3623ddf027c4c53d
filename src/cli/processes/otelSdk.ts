import type { SpanExporter } from '@opentelemetry/sdk-trace-node';

import { type Config, tracesUrlOf } from '../../config/config.ts';
import type { Logger } from '../../observability/logger.ts';
import { createThrottle } from '../../observability/logger.ts';
import { openTracer, type Tracer } from '../../observability/tracing.ts';
import { withDeadline } from '../../runtime/async.ts';
import type { Closers } from '../../runtime/lifecycle.ts';
import { packageInfo } from '../../runtime/packageInfo.ts';

// A part of the three seconds that remain for closing, because the queue needs the rest.
const FLUSH_TIMEOUT_MS = 1_000;
const WARN_INTERVAL_MS = 60_000;

type Deps = { closers: Closers; logger: Logger };

/**
 * Starts OpenTelemetry's SDK if the configuration names a collector. Otherwise it loads none of it.
 * The SDK reads its other variables (`OTEL_…`) itself. A failure of tracing never stops signals: spans that
 * cannot be exported are dropped.
 */
export const startTracing = async (
  config: Config,
  { closers, logger }: Deps,
  command: string,
): Promise<Tracer | undefined> => {
  const url = tracesUrlOf(config);
  if (url === undefined) return undefined;
  try {
    const { close } = await startSdk({ url, command, logger, isJson: usesJson(config) });
    closers.add('tracing', close);
  } catch (err) {
    logger.error({ err }, 'Failed to start tracing');
    return undefined;
  }
  return openTracer();
};

const usesJson = (config: Config): boolean =>
  (config.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? config.OTEL_EXPORTER_OTLP_PROTOCOL) === 'http/json';

type Sdk = { url: string; command: string; isJson: boolean; logger: Logger };

const startSdk = async ({ url, command, isJson, logger }: Sdk) => {
  const warnOfSdk = createWarn(logger, 'OpenTelemetry SDK warning');
  const warnOfExport = createWarn(logger, 'Failed to export traces');
  const [api, sdk, resources, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/resources'),
    isJson
      ? import('@opentelemetry/exporter-trace-otlp-http')
      : import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  const log = {
    error: warnOfSdk,
    warn: warnOfSdk,
    info: () => {},
    debug: () => {},
    verbose: () => {},
  };
  api.diag.setLogger(log, { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true });

  const named = resources.resourceFromAttributes({
    'service.name': `seek-signals-${command}`,
    'service.version': packageInfo.version,
  });
  const configured = resources.detectResources({ detectors: [resources.envDetector] });
  const provider = new sdk.NodeTracerProvider({
    resource: resources.defaultResource().merge(named).merge(configured),
    spanProcessors: [
      new sdk.BatchSpanProcessor(reportFailures(new OTLPTraceExporter({ url }), warnOfExport)),
    ],
  });
  // No propagator, so that requests to SEEK carry no trace context. Our jobs carry it themselves.
  provider.register({ propagator: null });

  const onTimeout = () => new Error(`not complete within ${FLUSH_TIMEOUT_MS} ms`);
  return {
    close: (): Promise<void> =>
      withDeadline(provider.shutdown(), FLUSH_TIMEOUT_MS, onTimeout).catch((err) =>
        warnOfExport(describeExportError(err)),
      ),
  };
};

type Warn = (reason: string) => void;

/** Reports failures itself and hides them from the SDK, which would log the whole error with the response body. */
const reportFailures = (exporter: SpanExporter, warn: Warn): SpanExporter => ({
  export: (spans, done) =>
    exporter.export(spans, ({ code, error }) => {
      if (code !== 0) warn(describeExportError(error));
      done({ code: 0 });
    }),
  shutdown: () => exporter.shutdown(),
  forceFlush: async () => exporter.forceFlush?.(),
});

const describeExportError = (err: unknown): string => {
  if (!(err instanceof Error)) return 'unknown';
  const code = 'code' in err ? String(err.code) : '';
  return [code, err.message].filter((part) => part !== '').join(': ') || err.name;
};

/** Logs at most once a minute, because an unavailable collector fails with every export. */
const createWarn = (logger: Logger, message: string): Warn => {
  const isDue = createThrottle(WARN_INTERVAL_MS);
  return (reason) => {
    if (isDue()) logger.warn({ reason: reason.slice(0, 200) }, message);
  };
};
