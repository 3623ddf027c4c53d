import { context, SpanKind, type Tracer, trace } from '@opentelemetry/api';
import type { MiddlewareHandler } from 'hono';

import { fail, toContext } from '../../observability/tracing.ts';

/** Records one span per request, as part of the caller's trace. Spans of the handler become its children. */
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
      // No traced route has a parameter, so the path is also the route.
      'http.route': path,
      'url.path': path,
      'url.scheme': 'http',
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
