import { createHttp, NoAnswerError, parseRetryAfter } from '../../src/worker/http.ts';
import {
  after,
  cutOff,
  empty,
  hang,
  html,
  json,
  raw,
  reset,
  type ScriptedAnswer,
  startScriptedSeek,
  trickle,
} from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';

const MIB = 1024 * 1024;
const open: (() => Promise<unknown>)[] = [];

const setup = async (answers: ScriptedAnswer[] = [], { timeoutMs = 10_000 } = {}) => {
  const seek = await startScriptedSeek({ answers });
  const http = createHttp({ timeoutMs, connections: 10 });
  open.push(http.close, seek.close);
  const post = (body = '{}', abort?: AbortSignal) =>
    http.post({ url: seek.apiUrl, headers: { 'x-test': 'yes' }, body, abort });

  return { post, seek, http };
};

describe('post', () => {
  afterEach(async () => {
    for (const close of open.splice(0)) await close();
  });

  it('sends headers and body as they are', async () => {
    const { post, seek } = await setup();

    await post('{"text":"ü😀"}');

    expect(seek.requests).toMatchObject([
      { method: 'POST', headers: { 'x-test': 'yes' }, text: '{"text":"ü😀"}' },
    ]);
  });

  it.each([
    { what: 'JSON', play: json({ a: 'ü😀' }), answer: { status: 200, body: '{"a":"ü😀"}' } },
    {
      what: 'an error status',
      play: json({}, { status: 503 }),
      answer: { status: 503, body: '{}' },
    },
    {
      what: 'HTML',
      play: html(502),
      answer: { status: 502, body: expect.stringContaining('<html>') },
    },
    { what: 'nothing', play: empty(204), answer: { status: 204, body: '' } },
    {
      what: 'a redirect, not followed',
      play: empty(302, { location: '/elsewhere' }),
      answer: { status: 302, body: '' },
    },
    {
      what: 'a whole MiB',
      play: raw('x'.repeat(MIB)),
      answer: { status: 200, body: 'x'.repeat(MIB) },
    },
  ])('gives back $what', async ({ play, answer }) => {
    const { post } = await setup([play]);

    expect(await post()).toEqual(answer);
  });

  it('puts together a character that was torn by the network', async () => {
    const bytes = Buffer.from('"😀"');
    const { post } = await setup([
      (response) => {
        response.write(bytes.subarray(0, 3), () => response.end(bytes.subarray(3)));
      },
    ]);

    expect((await post()).body).toBe('"😀"');
  });

  it('reads Retry-After', async () => {
    const { post } = await setup([empty(429, { 'retry-after': '7' })]);

    expect(await post()).toEqual({ status: 429, body: '', retryAfterMs: 7_000 });
  });

  it.each([
    { what: 'is reset', play: reset() },
    { what: 'is cut off in the middle', play: cutOff() },
    {
      what: 'ends without an answer',
      play: (_: unknown, socket: { destroy: () => unknown }) => void socket.destroy(),
    },
    {
      what: 'speaks no HTTP',
      play: (_: unknown, socket: { end: (text: string) => unknown }) =>
        void socket.end('SSH-2.0-OpenSSH\r\n\r\n'),
    },
  ])('rejects where the connection $what, and works again at once', async ({ play }) => {
    const { post } = await setup([play]);

    await expect(post()).rejects.toThrow(NoAnswerError);
    await expect(post()).resolves.toMatchObject({ status: 200 });
  });

  it('rejects where nobody listens', async () => {
    const { post, seek } = await setup();
    await seek.close();
    open.pop();

    await expect(post()).rejects.toThrow(/^request failed/);
  });

  it.each([
    { what: 'nothing comes', play: hang() },
    { what: 'the body trickles without end', play: trickle() },
    {
      what: 'the body stops half-way',
      play: ((response) => void response.write('{')) as ScriptedAnswer,
    },
  ])('gives up in time when $what', async ({ play }) => {
    const { post } = await setup([play], { timeoutMs: 60 });

    await expect(post()).rejects.toThrow('no answer within 60 ms');
  });

  it('reads no more than a MiB', async () => {
    const { post } = await setup([raw('x'.repeat(MIB + 1))]);

    await expect(post()).rejects.toThrow('answer over 1048576 bytes');
    await expect(post()).resolves.toMatchObject({ status: 200 });
  });

  it('lets go when told to, in the middle of a request', async () => {
    const { post, seek } = await setup([hang()]);
    const abort = new AbortController();

    const rejected = expect(post('{}', abort.signal)).rejects.toThrow(NoAnswerError);
    await waitFor(() => seek.requests.length === 1);
    abort.abort();

    await rejected;
  });

  it('sends nothing when it was told to let go before', async () => {
    const { post, seek } = await setup();

    await expect(post('{}', AbortSignal.abort())).rejects.toThrow(NoAnswerError);
    expect(seek.requests).toEqual([]);
  });

  it('carries as many requests at a time as it has connections, on connections that are kept', async () => {
    let release = () => {};
    const ready = new Promise<void>((resolve) => {
      release = resolve;
    });
    const sockets = new Set<unknown>();
    const watched: ScriptedAnswer = (response, socket) => {
      sockets.add(socket);
      after(ready, empty())(response, socket);
    };
    const { post, seek } = await setup(Array.from({ length: 30 }, () => watched));

    const all = Promise.all(Array.from({ length: 30 }, () => post()));
    await waitFor(() => seek.requests.length === 10);
    release();
    await all;

    expect(sockets.size).toBe(10);
  });
});

describe('parseRetryAfter', () => {
  const NOW = Date.parse('2026-03-03T00:00:00Z');
  const DAY_MS = 86_400_000;

  it.each([
    { header: '7', ms: 7_000 },
    { header: ' 7 ', ms: 7_000 },
    { header: ['7', '9'], ms: 7_000 },
    { header: '86400', ms: DAY_MS },
    { header: '86401', ms: DAY_MS },
    { header: '9'.repeat(400), ms: DAY_MS },
    { header: 'Tue, 03 Mar 2026 00:01:30 GMT', ms: 90_000 },
    { header: 'Tue, 03 Mar 2099 00:00:00 GMT', ms: DAY_MS },
    { header: 'Tue, 03 Mar 2020 00:00:00 GMT', ms: undefined },
    { header: '0', ms: undefined },
    { header: '-5', ms: undefined },
    { header: '1.5', ms: undefined },
    { header: 'soon', ms: undefined },
    { header: 'NaN', ms: undefined },
    { header: '', ms: undefined },
    { header: [], ms: undefined },
    { header: undefined, ms: undefined },
  ])('$header is $ms ms', ({ header, ms }) => {
    expect(parseRetryAfter(header, NOW)).toBe(ms);
  });
});
