import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';

import { traceRequests } from '../../../src/producer/api/traceRequests.ts';
import { failed, parentOf, recordSpans, traceOf } from '../../support/recordSpans.ts';

const recorded = recordSpans();
afterEach(recorded.clear);
afterAll(recorded.stop);

const app = () => {
  const routes = new Hono();
  routes.on('POST', ['/', '/batch'], traceRequests(recorded.tracer));
  routes.post('/', (c) => c.json({}, 202));
  routes.post('/batch', (c) => {
    if (c.req.query('wrong')) throw new HTTPException(422, { message: 'wrong' });
    throw new Error('s3cret');
  });
  routes.get('/', (c) => c.json({}));
  const api = new Hono().route('/signals', routes);
  api.onError((err, c) =>
    err instanceof HTTPException ? c.json({}, err.status) : c.json({}, 503),
  );
  return api;
};

describe('traceRequests', () => {
  it.each([
    ['/signals', 202, false],
    ['/signals/batch?wrong=1', 422, false],
    ['/signals/batch', 503, true],
  ])('POST %s answered with %d → one span; failed: %s', async (path, status, isFailure) => {
    const answer = await app().request(path, { method: 'POST', body: 's3cret' });

    expect(answer.status).toBe(status);
    const [route] = path.split('?');
    const [span, ...more] = recorded.spans();
    expect(more).toEqual([]);
    expect(span?.name).toBe(`POST ${route}`);
    expect(span?.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': route,
      'url.path': route,
      'http.response.status_code': status,
    });
    expect(span !== undefined && failed(span)).toBe(isFailure);
    expect(JSON.stringify([span?.attributes, span?.events, span?.status])).not.toContain('s3cret');
  });

  it('traceparent of the caller → continued; an unreadable one → a new trace', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    for (const traceparent of [`00-${trace}-b7ad6b7169203331-01`, 'damaged']) {
      await app().request('/signals', { method: 'POST', headers: { traceparent } });
    }

    const [one, other] = recorded.spans('SERVER');
    expect([traceOf(one), parentOf(one)]).toEqual([trace, 'b7ad6b7169203331']);
    expect(traceOf(other)).not.toBe(trace);
    expect(parentOf(other)).toBeUndefined();
  });

  it('GET → not traced', async () => {
    await app().request('/signals');

    expect(recorded.spans()).toEqual([]);
  });
});
