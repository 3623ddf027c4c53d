import { NoAnswerError } from '../../../src/worker/seek/http.ts';
import { traceHttp } from '../../../src/worker/seek/tracedHttp.ts';
import { failed, idOf, parentOf, recordSpans } from '../../support/recordSpans.ts';

const recorded = recordSpans();
afterEach(recorded.clear);
afterAll(recorded.stop);

const REQUEST = {
  url: 'https://graphql.seek.test/graphql?key=s3cret',
  headers: { authorization: 'Bearer s3cret', 'x-request-id': 'request-1' },
  body: 's3cret',
};

const setup = (answer: { status: number } | Error) => {
  const requests: unknown[] = [];
  const http = traceHttp(
    {
      post: async (request) => {
        requests.push(request);
        if (answer instanceof Error) throw answer;
        return { ...answer, body: 's3cret' };
      },
      close: async () => {},
    },
    recorded.tracer,
  );
  return { http, requests };
};

describe('traced request', () => {
  it('→ its span holds address and status, and no secret', async () => {
    const { http, requests } = setup({ status: 200 });

    await expect(http.post(REQUEST)).resolves.toEqual({ status: 200, body: 's3cret' });

    expect(requests).toEqual([REQUEST]);
    const [span] = recorded.spans('CLIENT');
    expect(span?.attributes).toEqual({
      'http.request.method': 'POST',
      'server.address': 'graphql.seek.test',
      'server.port': 443,
      'url.full': 'https://graphql.seek.test/graphql',
      'http.request.header.x-request-id': ['request-1'],
      'http.response.status_code': 200,
    });
    expect(span !== undefined && failed(span)).toBe(false);
  });

  it.each([
    ['HTTP 503', { status: 503 }, '503'],
    ['no answer', new NoAnswerError('s3cret'), 'UNREACHABLE'],
    ['an internal error', new TypeError('s3cret'), 'FAULT'],
  ])('%s → the span fails', async (_, answer, type) => {
    const { http } = setup(answer);

    const outcome = await http.post(REQUEST).catch((err: unknown) => err);

    if (answer instanceof Error) expect(outcome).toBe(answer);
    const [span] = recorded.spans('CLIENT');
    expect(span !== undefined && failed(span)).toBe(true);
    expect(span?.attributes['error.type']).toBe(type);
    expect(JSON.stringify([span?.attributes, span?.events, span?.status])).not.toContain('s3cret');
  });

  it('aborted → the span fails as ABORTED', async () => {
    const { http } = setup(new NoAnswerError('aborted'));

    await http.post({ ...REQUEST, abort: AbortSignal.abort() }).catch(() => {});

    expect(recorded.spans()[0]?.attributes['error.type']).toBe('ABORTED');
  });

  it('several attempts → child of the first sampled one, linked with the others both ways', async () => {
    const { http } = setup({ status: 200 });
    const [one, two, three] = ['one', 'two', 'three'].map((name) =>
      recorded.tracer.startSpan(name),
    );
    if (one === undefined || two === undefined || three === undefined) throw new Error('no span');
    one.end();

    await http.post({ ...REQUEST, attempts: [one, two, three] });
    for (const span of [two, three]) span.end();

    const [request] = recorded.spans('CLIENT');
    expect(parentOf(request)).toBe(two.spanContext().spanId);
    expect(request?.links.map(({ context }) => context)).toEqual([
      one.spanContext(),
      three.spanContext(),
    ]);
    const links = recorded.spans().find(({ name }) => name === 'three')?.links;
    expect(links?.map(({ context: { spanId } }) => spanId)).toEqual([idOf(request)]);
  });
});
