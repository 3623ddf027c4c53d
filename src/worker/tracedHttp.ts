import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';

import { fail, type Span, type Tracer } from '../tracing.ts';
import { type Http, NoAnswerError } from './http.ts';

/**
 * A span for each request that is made. One that serves several signals belongs to the first of them
 * that is recorded, or a sampler might leave it out; with the others it is linked, both ways. SEEK is
 * told nothing of it.
 */
export const traceHttp = (http: Http, tracer: Tracer): Http => ({
  ...http,
  post: async (request) => {
    const span = startSpan(tracer, request);
    try {
      const answer = await http.post(request);
      span.setAttribute('http.response.status_code', answer.status);
      if (answer.status >= 400) fail(span, String(answer.status));
      return answer;
    } catch (err) {
      fail(span, err instanceof NoAnswerError ? 'UNREACHABLE' : 'FAULT');
      throw err;
    } finally {
      span.end();
    }
  },
});

type Request = Parameters<Http['post']>[0];

const startSpan = (tracer: Tracer, { url, headers, attempts = [] }: Request): Span => {
  const first = attempts.find((attempt) => attempt.isRecording()) ?? attempts[0];
  const others = attempts.filter((attempt) => attempt !== first);
  const span = tracer.startSpan(
    'POST',
    {
      kind: SpanKind.CLIENT,
      attributes: attributesOf(url, headers['x-request-id']),
      links: others.map((attempt) => ({ context: attempt.spanContext() })),
    },
    first === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, first),
  );
  for (const attempt of others) attempt.addLink({ context: span.spanContext() });
  return span;
};

const attributesOf = (url: string, requestId: string | undefined) => {
  const { protocol, hostname, port, origin, pathname } = new URL(url);
  return {
    'http.request.method': 'POST',
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    // Without what a query may hold.
    'url.full': origin + pathname,
    ...(requestId === undefined ? {} : { 'http.request.header.x-request-id': [requestId] }),
  };
};
