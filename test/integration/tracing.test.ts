import { context, trace } from '@opentelemetry/api';

import { createProducer, type SignalInput } from '../../src/index.ts';
import { buildApplicationComplete, buildPositionStatusUpdate } from '../support/buildSignal.ts';
import { onEmbedded, onRedis } from '../support/platforms.ts';
import {
  failed,
  idOf,
  parentOf,
  type RecordedSpans,
  recordSpans,
  traceOf,
} from '../support/recordSpans.ts';
import { startRedis } from '../support/redisServer.ts';
import { html, refused } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const SAMPLED = { traceparent: `00-${TRACE}-${CALLER}-01` };
const UNSAMPLED = { traceparent: `00-${TRACE}-${CALLER}-00` };

const complete = () => buildApplicationComplete({ token: newToken() });

let recorded: RecordedSpans;
beforeEach(() => {
  recorded = recordSpans();
});
afterEach(() => recorded.stop());

describe.each([
  ['Redis', onRedis],
  ['the embedded queue', onEmbedded],
])('a signal on %s', (_, start) => {
  const { setup } = usePlatform(start);

  it('has one trace from the caller to SEEK', async () => {
    const { send, until, logs, seek } = await setup({ tracer: recorded.tracer });

    const { signalId } = await send(complete(), SAMPLED);
    const record = await until(signalId, 'delivered');

    const [server] = recorded.spans('SERVER');
    const [sending] = recorded.spans('PRODUCER');
    const [attempt] = recorded.spans('CONSUMER');
    const request = recorded.spans('CLIENT').find((span) => traceOf(span) === TRACE);
    expect([server, sending, attempt, request].map(traceOf)).toEqual(Array(4).fill(TRACE));
    expect([server, sending, attempt, request].map(parentOf)).toEqual([
      CALLER,
      idOf(server),
      idOf(sending),
      idOf(attempt),
    ]);
    expect(server?.name).toBe('POST /signals');
    expect(server?.attributes).toMatchObject({ 'http.response.status_code': 202 });
    expect(sending?.attributes).toMatchObject({ 'messaging.message.id': signalId });
    expect(attempt?.attributes).toMatchObject({
      'messaging.destination.name': 'signals',
      'messaging.message.id': signalId,
      'seek_signals.type_code': 'ApplicationComplete',
      'seek_signals.attempt': 1,
      'seek_signals.outcome': 'delivered',
      'seek_signals.request_id': record.attempts[0]?.requestId,
    });
    expect(request?.attributes).toMatchObject({
      'url.full': seek.apiUrl,
      'http.request.header.x-request-id': [record.attempts[0]?.requestId],
      'http.response.status_code': 200,
    });
    expect(recorded.spans().filter(failed)).toEqual([]);
    const exported = recorded.spans().map(({ name, attributes }) => [name, attributes]);
    expect(JSON.stringify(exported)).not.toMatch(/seek-token|partner-token|scripted-client|Bearer/);

    expect(record.traceId).toBe(TRACE);
    const lines = logs.lines().filter((line) => line.signalId === signalId);
    expect(lines.map(({ msg, traceId }) => [msg, traceId])).toEqual([
      ['signal.accepted', TRACE],
      ['signal.attempted', TRACE],
    ]);
    for (const { headers } of [...seek.requests, ...seek.tokenRequests]) {
      expect(Object.keys(headers).filter((name) => /^trace|^baggage/.test(name))).toEqual([]);
    }
  });

  it('keeps its trace through retries, dead letters and a redrive', async () => {
    const { send, until, untilDeadLettered, redrive, logs } = await setup({
      tracer: recorded.tracer,
      answers: [html(502), refused('FORBIDDEN')],
    });

    const { signalId } = await send(complete(), SAMPLED);
    await untilDeadLettered(signalId);
    expect((await until(signalId, 'dead')).traceId).toBe(TRACE);
    await redrive(signalId);
    await until(signalId, 'delivered');

    const attempts = recorded.spans('CONSUMER');
    expect(attempts.map(traceOf)).toEqual(Array(3).fill(TRACE));
    const [sending] = recorded.spans('PRODUCER');
    expect(attempts.map(parentOf)).toEqual(Array(3).fill(idOf(sending)));
    expect(
      attempts.map(({ attributes }) =>
        ['attempt', 'redrives', 'outcome'].map((name) => attributes[`seek_signals.${name}`]),
      ),
    ).toEqual([
      [1, 0, 'retry'],
      [2, 0, 'dead'],
      [1, 1, 'delivered'],
    ]);
    expect(attempts.map((span) => span.attributes['error.type'])).toEqual([
      'HTTP_502',
      'FORBIDDEN',
      undefined,
    ]);
    expect(attempts.map(failed)).toEqual([true, true, false]);
    for (const msg of ['signal.deadLettered', 'signal.redriven']) {
      expect(logs.lines()).toContainEqual(expect.objectContaining({ msg, traceId: TRACE }));
    }
  });

  it('has a span for each deferral too', async () => {
    const { send, until, logs } = await setup({
      tracer: recorded.tracer,
      answers: [refused('RATE_LIMITED')],
    });

    const { signalId } = await send(complete(), SAMPLED);
    await until(signalId, 'delivered');

    const tries = recorded.spans('CONSUMER');
    expect(tries.map(traceOf)).toEqual([TRACE, TRACE]);
    expect(tries.map(({ attributes }) => attributes['seek_signals.outcome'])).toEqual([
      'deferred',
      'delivered',
    ]);
    expect(tries.map(({ attributes }) => attributes['seek_signals.attempt'])).toEqual([1, 1]);
    expect(logs.lines()).toContainEqual(
      expect.objectContaining({ signalId, msg: 'signal.deferred', traceId: TRACE }),
    );
  });

  it('accepted without a trace keeps the trace of its first attempt', async () => {
    // From now on the API has no SDK.
    recorded.stop();
    const { send, until } = await setup({ tracer: recorded.tracer, answers: [html(502)] });

    const { signalId } = await send(complete(), SAMPLED);
    const { traceId } = await until(signalId, 'delivered');

    const [first, second, ...more] = recorded.spans('CONSUMER');
    expect([first, second].map(traceOf)).toEqual([traceId, traceId]);
    expect([first, second].map(parentOf)).toEqual([undefined, idOf(first)]);
    expect(more).toEqual([]);
  });

  it('sent in a batch is linked with the request, in its own trace or another', async () => {
    const { sendAll, send, until, seek, startWorker } = await setup({
      tracer: recorded.tracer,
      workers: 0,
    });
    const one = await send(complete(), SAMPLED);
    const others = await sendAll([
      complete(),
      buildPositionStatusUpdate({ positionProfileIds: ['position-7'] }),
    ]);
    await startWorker({ BATCH_SIZE: '10', BATCH_LINGER_MS: '500', WORKER_CONCURRENCY: '3' });
    for (const { signalId } of [one, ...others]) await until(signalId, 'delivered');

    const requests = recorded
      .spans('CLIENT')
      .filter(({ attributes }) => attributes['url.full'] === seek.apiUrl);
    expect(requests).toHaveLength(seek.requests.length);
    expect(requests.length).toBeLessThan(3);
    for (const attempt of recorded.spans('CONSUMER')) {
      const id = attempt.attributes['seek_signals.request_id'];
      const request = requests.find(({ attributes }) =>
        [attributes['http.request.header.x-request-id']].flat().includes(String(id)),
      );
      const isParent = parentOf(request) === idOf(attempt);
      const linked = request?.links.map(({ context: { spanId } }) => spanId);
      expect(linked?.includes(idOf(attempt) ?? '')).toBe(!isParent);
      const back = attempt.links.map(({ context: { spanId } }) => spanId);
      expect(back).toEqual(isParent ? [] : [idOf(request)]);
    }
  });

  it('with an unsampled trace is not recorded by any attempt', async () => {
    const { send, until, backend } = await setup({ tracer: recorded.tracer, answers: [html(502)] });

    const { signalId } = await send(complete(), UNSAMPLED);
    const record = await until(signalId, 'delivered');

    // Spans for the partner token belong to no signal.
    expect(recorded.spans().map(traceOf)).not.toContain(TRACE);
    expect(recorded.spans('CONSUMER')).toEqual([]);
    expect(record).not.toHaveProperty('traceId');
    const job = await (await backend.queue('signals')).getJob(signalId);
    expect(job?.data).toMatchObject({ traceparent: expect.stringMatching(/-00$/) });
  });

  it('has no trace context without an SDK', async () => {
    recorded.stop();
    const { send, until, backend, logs } = await setup();

    const { signalId } = await send(complete(), SAMPLED);
    const record = await until(signalId, 'delivered');

    expect(recorded.spans()).toEqual([]);
    expect(record).not.toHaveProperty('traceId');
    const job = await (await backend.queue('signals')).getJob(signalId);
    expect(JSON.stringify([job?.data, job?.opts])).not.toContain('trace');
    expect(logs.text()).not.toContain('traceId');
  });
});

describe('the library', () => {
  it('continues the active span of the application, and registers no SDK', async () => {
    const redis = await startRedis();
    const producer = createProducer({ redisUrl: redis.url });
    const two: SignalInput[] = [0, 1].map(() => ({
      typeCode: 'ApplicationComplete',
      token: newToken(),
    }));
    const outer = trace.getTracer('ats').startSpan('apply');
    const active = trace.setSpan(context.active(), outer);

    await context.with(active, () => producer.enqueueMany(two));
    await expect(context.with(active, () => producer.enqueue(JSON.parse('{}')))).rejects.toThrow();
    await producer.close();
    await redis.stop();

    const [valid, invalid] = recorded.spans('PRODUCER');
    expect([valid, invalid].map(parentOf)).toEqual(Array(2).fill(outer.spanContext().spanId));
    expect(valid?.attributes['messaging.batch.message_count']).toBe(2);
    expect(invalid?.attributes['error.type']).toBe('InvalidSignalError');
    expect([valid, invalid].map((span) => span !== undefined && failed(span))).toEqual([
      false,
      true,
    ]);
  });
});
