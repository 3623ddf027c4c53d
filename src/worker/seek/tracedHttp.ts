import { type Attributes, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';

import { fail, type Span, type Tracer } from '../../observability/tracing.ts';
import { type Http, NoAnswerError } from './http.ts';

/**
 * A span for each request that is made. One that serves several signals belongs to the first of them
 * that is recorded, or a sampler might leave it out; with the others it is linked, both ways. SEEK is
 * told nothing of it.
 */
export const traceHttp = (http: Http, tracer: Tracer): Http => {
  const places = new Map<string, Attributes>();
  /** There are but two, and each is asked for over and over. */
  const placeOf = (url: string): Attributes => {
    const known = places.get(url) ?? readPlace(url);
    places.set(url, known);
    return known;
  };

  const post: Http['post'] = async (request) => {
    const span = startSpan(tracer, request, placeOf(request.url));
    try {
      const answer = await http.post(request);
      span.setAttribute('http.response.status_code', answer.status);
      if (answer.status >= 400) fail(span, String(answer.status));
      return answer;
    } catch (err) {
      fail(span, request.abort?.aborted ? 'ABORTED' : typeOf(err));
      throw err;
    } finally {
      span.end();
    }
  };

  return { ...http, post };
};

const typeOf = (err: unknown): string => (err instanceof NoAnswerError ? 'UNREACHABLE' : 'FAULT');

type Request = Parameters<Http['post']>[0];

const startSpan = (
  tracer: Tracer,
  { headers, attempts = [] }: Request,
  place: Attributes,
): Span => {
  const requestId = headers['x-request-id'];
  const first = attempts.find((attempt) => attempt.isRecording()) ?? attempts[0];
  const others = attempts.filter((attempt) => attempt !== first);
  const span = tracer.startSpan(
    'POST',
    {
      kind: SpanKind.CLIENT,
      attributes: {
        ...place,
        ...(requestId === undefined ? {} : { 'http.request.header.x-request-id': [requestId] }),
      },
      links: others.map((attempt) => ({ context: attempt.spanContext() })),
    },
    first === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, first),
  );
  for (const attempt of others) attempt.addLink({ context: span.spanContext() });
  return span;
};

const readPlace = (url: string): Attributes => {
  const { protocol, hostname, port, origin, pathname } = new URL(url);
  return {
    'http.request.method': 'POST',
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    // Without what a query may hold.
    'url.full': origin + pathname,
  };
};
