import { type Attributes, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';

import { fail, type Span, type Tracer } from '../../observability/tracing.ts';
import { type Http, NoAnswerError } from './http.ts';

/**
 * Records a span for each request. A request for several signals is a child of the first sampled
 * attempt, or the sampler could drop it; links connect it with the others, both ways. No trace header
 * is sent to SEEK.
 */
export const traceHttp = (http: Http, tracer: Tracer): Http => {
  // The worker uses two URLs only, so each is parsed once.
  const attributesByUrl = new Map<string, Attributes>();
  const attributesOf = (url: string): Attributes => {
    const attributes = attributesByUrl.get(url) ?? parseUrl(url);
    attributesByUrl.set(url, attributes);
    return attributes;
  };

  const post: Http['post'] = async (request) => {
    const span = startSpan(tracer, request, attributesOf(request.url));
    try {
      const answer = await http.post(request);
      span.setAttribute('http.response.status_code', answer.status);
      if (answer.status >= 400) fail(span, String(answer.status));
      return answer;
    } catch (err) {
      fail(span, request.abort?.aborted ? 'ABORTED' : errorTypeOf(err));
      throw err;
    } finally {
      span.end();
    }
  };

  return { ...http, post };
};

const errorTypeOf = (err: unknown): string =>
  err instanceof NoAnswerError ? 'UNREACHABLE' : 'FAULT';

type Request = Parameters<Http['post']>[0];

const startSpan = (
  tracer: Tracer,
  { headers, attempts = [] }: Request,
  urlAttributes: Attributes,
): Span => {
  const requestId = headers['x-request-id'];
  const parent = attempts.find((attempt) => attempt.isRecording()) ?? attempts[0];
  const others = attempts.filter((attempt) => attempt !== parent);
  const span = tracer.startSpan(
    'POST',
    {
      kind: SpanKind.CLIENT,
      attributes: {
        ...urlAttributes,
        ...(requestId === undefined ? {} : { 'http.request.header.x-request-id': [requestId] }),
      },
      links: others.map((attempt) => ({ context: attempt.spanContext() })),
    },
    parent === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, parent),
  );
  for (const attempt of others) attempt.addLink({ context: span.spanContext() });
  return span;
};

const parseUrl = (url: string): Attributes => {
  const { protocol, hostname, port, origin, pathname } = new URL(url);
  return {
    'http.request.method': 'POST',
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    // Without the query, which can hold a secret.
    'url.full': origin + pathname,
  };
};
