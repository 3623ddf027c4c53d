import { once } from 'node:events';
import type { Server } from 'node:net';
import { createServer } from 'node:tls';

import { createHttp, NoAnswerError, parseRetryAfter } from '../../../src/worker/seek/http.ts';
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
} from '../../support/scriptedSeek.ts';
import { waitFor } from '../../support/waitFor.ts';

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

  it('headers and body → are sent unchanged', async () => {
    const { post, seek } = await setup();

    await post('{"text":"ü😀"}');

    expect(seek.requests).toMatchObject([
      { method: 'POST', headers: { 'x-test': 'yes' }, text: '{"text":"ü😀"}' },
    ]);
  });

  it.each([
    { what: 'JSON', reply: json({ a: 'ü😀' }), answer: { status: 200, body: '{"a":"ü😀"}' } },
    {
      what: 'an error status',
      reply: json({}, { status: 503 }),
      answer: { status: 503, body: '{}' },
    },
    {
      what: 'HTML',
      reply: html(502),
      answer: { status: 502, body: expect.stringContaining('<html>') },
    },
    { what: 'nothing', reply: empty(204), answer: { status: 204, body: '' } },
    {
      what: 'a redirect, not followed',
      reply: empty(302, { location: '/elsewhere' }),
      answer: { status: 302, body: '' },
    },
    {
      what: 'exactly one MiB',
      reply: raw('x'.repeat(MIB)),
      answer: { status: 200, body: 'x'.repeat(MIB) },
    },
  ])('answer: $what → is returned', async ({ reply, answer }) => {
    const { post } = await setup([reply]);

    expect(await post()).toEqual(answer);
  });

  it('character split across two packets → is read as one', async () => {
    const bytes = Buffer.from('"😀"');
    const { post } = await setup([
      (response) => {
        response.write(bytes.subarray(0, 3), () => response.end(bytes.subarray(3)));
      },
    ]);

    expect((await post()).body).toBe('"😀"');
  });

  it('Retry-After → is returned in milliseconds', async () => {
    const { post } = await setup([empty(429, { 'retry-after': '7' })]);

    expect(await post()).toEqual({ status: 429, body: '', retryAfterMs: 7_000 });
  });

  it.each([
    { what: 'is reset', reply: reset() },
    { what: 'is cut off in the middle', reply: cutOff() },
    {
      what: 'ends without an answer',
      reply: (_: unknown, socket: { destroy: () => unknown }) => void socket.destroy(),
    },
    {
      what: 'speaks no HTTP',
      reply: (_: unknown, socket: { end: (text: string) => unknown }) =>
        void socket.end('SSH-2.0-OpenSSH\r\n\r\n'),
    },
  ])('connection $what → rejects, and the next request succeeds', async ({ reply }) => {
    const { post } = await setup([reply]);

    await expect(post()).rejects.toThrow(NoAnswerError);
    await expect(post()).resolves.toMatchObject({ status: 200 });
  });

  it('no server → rejects', async () => {
    const { post, seek } = await setup();
    await seek.close();
    open.pop();

    await expect(post()).rejects.toThrow(/^request failed/);
  });

  it.each([
    { what: 'no answer', reply: hang() },
    { what: 'endless slow body', reply: trickle() },
    {
      what: 'body that stops half-way',
      reply: ((response) => void response.write('{')) as ScriptedAnswer,
    },
  ])('$what → rejects after the timeout', async ({ reply }) => {
    const { post } = await setup([reply], { timeoutMs: 60 });

    await expect(post()).rejects.toThrow('no answer within 60 ms');
  });

  it('answer over a MiB → rejects, and the next request succeeds', async () => {
    const { post } = await setup([raw('x'.repeat(MIB + 1))]);

    await expect(post()).rejects.toThrow('answer over 1048576 bytes');
    await expect(post()).resolves.toMatchObject({ status: 200 });
  });

  it('aborted in the middle of a request → rejects', async () => {
    const { post, seek } = await setup([hang()]);
    const abort = new AbortController();

    const rejected = expect(post('{}', abort.signal)).rejects.toThrow(NoAnswerError);
    await waitFor(() => seek.requests.length === 1);
    abort.abort();

    await rejected;
  });

  it('aborted before the request → rejects, and nothing is sent', async () => {
    const { post, seek } = await setup();

    await expect(post('{}', AbortSignal.abort())).rejects.toThrow(NoAnswerError);
    expect(seek.requests).toEqual([]);
  });

  it('30 requests, 10 connections → 10 at a time, on the same 10 connections', async () => {
    let release = () => {};
    const ready = new Promise<void>((resolve) => {
      release = resolve;
    });
    const sockets = new Set<unknown>();
    const recordSocket: ScriptedAnswer = (response, socket) => {
      sockets.add(socket);
      after(ready, empty())(response, socket);
    };
    const { post, seek } = await setup(Array.from({ length: 30 }, () => recordSocket));

    const all = Promise.all(Array.from({ length: 30 }, () => post()));
    await waitFor(() => seek.requests.length === 10);
    release();
    await all;

    expect(sockets.size).toBe(10);
  });
});

/** A self-signed certificate for tests. No client trusts it. */
const SELF_SIGNED = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgROBHfrOiZ0cKn44g
VGRhjrGHiwCulgJ8QeZ1cN4pjk2hRANCAAQqWhzAKdDs/6d+VdJDPyUUrfQHQu14
w+42AG6+dCvKdPoKVBkC8G+NqTd4fChcOUIaS94ECTjQGjA6b3L6SAQE
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUMqLoYMyd5fbt44UQvCi8cbIfSWIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA3MjQwMloYDzIxMjYxMDI5
MDcyNDAyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQqWhzAKdDs/6d+VdJDPyUUrfQHQu14w+42AG6+dCvKdPoKVBkC8G+N
qTd4fChcOUIaS94ECTjQGjA6b3L6SAQEo1MwUTAdBgNVHQ4EFgQUsf9Z+W6asNc6
jINDu2528h3yMFAwHwYDVR0jBBgwFoAUsf9Z+W6asNc6jINDu2528h3yMFAwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAyak1M4QmrfQi4kEPyplr
ZJvYKwvrxDFbi7yVK3KHsNECIDadaGKjJTycprmoQ0xUTtlegJ6mE7Nrn1kgDbJO
6mGg
-----END CERTIFICATE-----
`,
};

describe('failed request', () => {
  const close = (server: Server) => async () => {
    server.close();
    await once(server, 'close');
  };

  const startTls = async (options: object): Promise<string> => {
    const server = createServer(options, (socket) => socket.on('error', () => {}));
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(close(server));
    const address = server.address();
    return `https://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`;
  };

  const startScripted = async (reply: ScriptedAnswer): Promise<string> => {
    const seek = await startScriptedSeek({ answers: [reply] });
    open.push(seek.close);
    return seek.apiUrl;
  };

  const startAndClose = async (): Promise<string> => {
    const seek = await startScriptedSeek();
    await seek.close();
    return seek.apiUrl;
  };

  afterEach(async () => {
    for (const each of open.splice(0)) await each();
  });

  it.each<{ what: string; url: () => Promise<string>; unsent: boolean; timeoutMs?: number }>([
    { what: 'connection refused', url: startAndClose, unsent: true },
    {
      what: 'unknown host',
      url: async () => 'http://no-such-host.invalid/graphql',
      unsent: true,
    },
    {
      what: 'untrusted certificate',
      url: () => startTls(SELF_SIGNED),
      unsent: true,
    },
    { what: 'TLS handshake failure', url: () => startTls({}), unsent: true },
    {
      what: 'server without TLS',
      url: async () => (await startScripted(hang())).replace('http:', 'https:'),
      unsent: true,
    },
    {
      what: 'connection reset after the request',
      url: () => startScripted(reset()),
      unsent: false,
    },
    {
      what: 'connection closed after the request',
      url: () => startScripted((_, socket) => void socket.destroy()),
      unsent: false,
    },
    {
      what: 'timeout',
      url: () => startScripted(hang()),
      unsent: false,
      timeoutMs: 60,
    },
    { what: 'body cut off', url: () => startScripted(cutOff()), unsent: false },
    {
      what: 'answer too long',
      url: () => startScripted(raw('x'.repeat(MIB + 1))),
      unsent: false,
    },
  ])('$what → unsent: $unsent', async ({ url, unsent, timeoutMs = 30_000 }) => {
    const http = createHttp({ timeoutMs, connections: 1 });
    open.unshift(http.close);

    const failed = http.post({ url: await url(), headers: {}, body: '{}' });

    await expect(failed).rejects.toBeInstanceOf(NoAnswerError);
    await expect(failed).rejects.toMatchObject({ unsent });
  });

  it('aborted by us → unsent: false', async () => {
    const http = createHttp({ timeoutMs: 10_000, connections: 1 });
    open.unshift(http.close);
    const url = await startScripted(hang());

    await expect(
      http.post({ url, headers: {}, body: '{}', abort: AbortSignal.abort() }),
    ).rejects.toMatchObject({ unsent: false });
  });
});

describe('parseRetryAfter', () => {
  const NOW = Date.parse('2026-03-03T00:00:00Z');
  const MAX_MS = 3 * 3_600_000;

  it.each([
    { header: '7', ms: 7_000 },
    { header: ' 7 ', ms: 7_000 },
    { header: ['7', '9'], ms: 7_000 },
    { header: '10800', ms: MAX_MS },
    { header: '10801', ms: MAX_MS },
    { header: '9'.repeat(400), ms: MAX_MS },
    { header: 'Tue, 03 Mar 2026 00:01:30 GMT', ms: 90_000 },
    { header: 'Tue, 03 Mar 2099 00:00:00 GMT', ms: MAX_MS },
    { header: 'Tue, 03 Mar 2020 00:00:00 GMT', ms: undefined },
    { header: '0', ms: undefined },
    { header: '-5', ms: undefined },
    { header: '1.5', ms: undefined },
    { header: 'soon', ms: undefined },
    { header: 'NaN', ms: undefined },
    { header: '', ms: undefined },
    { header: [], ms: undefined },
    { header: undefined, ms: undefined },
  ])('"$header" → $ms ms', ({ header, ms }) => {
    expect(parseRetryAfter(header, NOW)).toBe(ms);
  });
});
