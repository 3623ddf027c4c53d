import { context, SpanKind, type Tracer, trace } from '@opentelemetry/api';
import type { MiddlewareHandler } from 'hono';

import { fail, toContext } from '../../observability/tracing.ts';

/** A span for each request, which continues the caller's trace. What a handler does is part of it. */
export const traceRequests =
  (tracer: Tracer): MiddlewareHandler =>
  async (c, next) => {
    const { method, path } = c.req;
    const [traceparent, tracestate] = ['traceparent', 'tracestate'].map((name) =>
      c.req.header(name),
    );
    const parent = toContext({ traceparent, tracestate });
    const attributes = {
      'http.request.method': method,
      // Of the paths that are traced, none has a parameter.
      ...{ 'http.route': path, 'url.path': path, 'url.scheme': 'http' },
    };
    const span = tracer.startSpan(
      `${method} ${path}`,
      { kind: SpanKind.SERVER, attributes },
      parent,
    );
    try {
      await context.with(trace.setSpan(parent, span), next);
      const { status } = c.res;
      span.setAttribute('http.response.status_code', status);
      if (status >= 500) fail(span, String(status));
    } finally {
      span.end();
    }
  };
