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

/** Of a certificate that nobody vouches for, and good for nothing else. */
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

describe('a request that failed', () => {
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

  const startScripted = async (play: ScriptedAnswer): Promise<string> => {
    const seek = await startScriptedSeek({ answers: [play] });
    open.push(seek.close);
    return seek.apiUrl;
  };

  const nobody = async (): Promise<string> => {
    const seek = await startScriptedSeek();
    await seek.close();
    return seek.apiUrl;
  };

  afterEach(async () => {
    for (const each of open.splice(0)) await each();
  });

  it.each<{ what: string; url: () => Promise<string>; unsent: boolean; timeoutMs?: number }>([
    { what: 'the connection was refused', url: nobody, unsent: true },
    {
      what: 'the host is unknown',
      url: async () => 'http://no-such-host.invalid/graphql',
      unsent: true,
    },
    {
      what: 'nobody vouches for the certificate',
      url: () => startTls(SELF_SIGNED),
      unsent: true,
    },
    { what: 'TLS found no common ground', url: () => startTls({}), unsent: true },
    {
      what: 'the other side speaks no TLS',
      url: async () => (await startScripted(hang())).replace('http:', 'https:'),
      unsent: true,
    },
    {
      what: 'the connection was reset after the request',
      url: () => startScripted(reset()),
      unsent: false,
    },
    {
      what: 'the connection was closed after the request',
      url: () => startScripted((_, socket) => void socket.destroy()),
      unsent: false,
    },
    {
      what: 'nothing came in time',
      url: () => startScripted(hang()),
      ...{ unsent: false, timeoutMs: 60 },
    },
    { what: 'the body was cut off', url: () => startScripted(cutOff()), unsent: false },
    {
      what: 'the answer was too long',
      url: () => startScripted(raw('x'.repeat(MIB + 1))),
      unsent: false,
    },
  ])(
    'knows whether anything was sent when $what: unsent $unsent',
    async ({ url, unsent, timeoutMs = 30_000 }) => {
      const http = createHttp({ timeoutMs, connections: 1 });
      open.unshift(http.close);

      const failed = http.post({ url: await url(), headers: {}, body: '{}' });

      await expect(failed).rejects.toBeInstanceOf(NoAnswerError);
      await expect(failed).rejects.toMatchObject({ unsent });
    },
  );

  it('and was let go by ourselves counts as sent', async () => {
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
  const LONGEST_MS = 3 * 3_600_000;

  it.each([
    { header: '7', ms: 7_000 },
    { header: ' 7 ', ms: 7_000 },
    { header: ['7', '9'], ms: 7_000 },
    { header: '10800', ms: LONGEST_MS },
    { header: '10801', ms: LONGEST_MS },
    { header: '9'.repeat(400), ms: LONGEST_MS },
    { header: 'Tue, 03 Mar 2026 00:01:30 GMT', ms: 90_000 },
    { header: 'Tue, 03 Mar 2099 00:00:00 GMT', ms: LONGEST_MS },
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
