import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { createServer } from 'node:tls';

import { proxyFor } from '../../../src/config/proxy.ts';
import { classify } from '../../../src/worker/seek/classify.ts';
import { createHttp, NoAnswerError } from '../../../src/worker/seek/http.ts';
import { createPartnerToken } from '../../../src/worker/seek/partnerToken.ts';
import { createSeekClient } from '../../../src/worker/seek/seekClient.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import { type ProxyBehaviour, startConnectProxy } from '../../support/connectProxy.ts';
import { freePort } from '../../support/redisServer.ts';
import { startScriptedSeek } from '../../support/scriptedSeek.ts';
import { selfSigned } from '../../support/selfSigned.ts';
import { waitFor } from '../../support/waitFor.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

type Options = { timeoutMs?: number; proxyUrl?: (url: string) => string; noProxy?: string };

const setup = async (
  behaviour: ProxyBehaviour = 'tunnel',
  { timeoutMs = 10_000, proxyUrl = (url) => url, noProxy = '' }: Options = {},
) => {
  const [seek, proxy] = await Promise.all([startScriptedSeek({}), startConnectProxy(behaviour)]);
  const config = { HTTPS_PROXY: undefined, HTTP_PROXY: proxyUrl(proxy.url), NO_PROXY: noProxy };
  const http = createHttp({ timeoutMs, connections: 2, proxyFor: (url) => proxyFor(config, url) });
  open.push(http.close, proxy.close, seek.close);
  const post = () => http.post({ url: seek.apiUrl, headers: {}, body: '{}' });
  return { http, post, seek, proxy };
};

describe('a request through a proxy', () => {
  it('→ travels through tunnels that stay open', async () => {
    const { post, seek, proxy } = await setup();

    for (let count = 1; count <= 5; count += 1) {
      await expect(post()).resolves.toMatchObject({ status: 200 });
    }

    expect(seek.requests).toHaveLength(5);
    // One for each of the two connections.
    expect(proxy.tunnels.length).toBeLessThanOrEqual(2);
    expect(proxy.tunnels[0]).toEqual({
      target: new URL(seek.apiUrl).host,
      authorization: undefined,
    });
  });

  it('credentials in the URL of the proxy → are decoded, and sent to the proxy alone', async () => {
    const { post, seek, proxy } = await setup('tunnel', {
      proxyUrl: (url) => url.replace('//', '//user:p%40ss@'),
    });

    await post();

    const basic = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
    expect(proxy.tunnels).toMatchObject([{ authorization: basic }]);
    expect(seek.requests[0]?.headers).not.toHaveProperty('proxy-authorization');
  });

  it('to a host of NO_PROXY → goes straight to SEEK', async () => {
    const { post, proxy } = await setup('close', { noProxy: 'localhost,127.0.0.1' });

    await expect(post()).resolves.toMatchObject({ status: 200 });
    expect(proxy.tunnels).toEqual([]);
  });
});

describe('a proxy that makes no tunnel', () => {
  it.each<{ behaviour: ProxyBehaviour; says: string }>([
    { behaviour: 407, says: ' answered 407: it requires a user name and password' },
    { behaviour: 403, says: ' answered 403: it forbids the connection to SEEK' },
    { behaviour: 502, says: ' answered 502: it cannot connect to SEEK' },
    { behaviour: 504, says: ' answered 504: it cannot connect to SEEK' },
    { behaviour: 404, says: ' answered 404 to CONNECT' },
    { behaviour: 'close', says: ': request failed: UND_ERR_SOCKET' },
  ])('$behaviour → the proxy is named, and nothing was sent', async ({ behaviour, says }) => {
    const { post, seek, proxy } = await setup(behaviour);

    const failed = await post().catch((err: unknown) => err);

    expect(failed).toBeInstanceOf(NoAnswerError);
    expect(failed).toMatchObject({ message: `proxy ${proxy.host}${says}`, unsent: true });
    // One attempt each: a proxy that refuses is not called again and again.
    expect(proxy.tunnels).toHaveLength(1);
    expect(seek.requests).toEqual([]);
    proxy.behave('tunnel');
    await expect(post()).resolves.toMatchObject({ status: 200 });
  });

  it('407 in spite of credentials → says that it refuses them, and repeats none', async () => {
    const { post } = await setup(407, { proxyUrl: (url) => url.replace('//', '//user:s3cret@') });

    const failed = await post().catch((err: unknown) => err);

    expect(failed).toHaveProperty(
      'message',
      expect.stringMatching(/^proxy 127\.0\.0\.1:\d+ answered 407: it refuses the user name/),
    );
    expect(JSON.stringify(failed, Object.getOwnPropertyNames(failed))).not.toContain('s3cret');
  });

  it('a proxy that does not answer → the proxy is named, and requests work once it does', async () => {
    const { post, proxy } = await setup('hang', { timeoutMs: 300 });

    await expect(Promise.all([post(), post(), post()])).rejects.toMatchObject({
      message: `no connection through proxy ${proxy.host} within 300 ms`,
      unsent: true,
    });
    proxy.behave('tunnel');
    await waitFor(async () => (await post().catch(() => undefined))?.status === 200);
  });

  it('a proxy that is not there → the proxy is named', async () => {
    const port = await freePort();
    const { post } = await setup('tunnel', { proxyUrl: () => `http://127.0.0.1:${port}` });

    await expect(post()).rejects.toMatchObject({
      message: `proxy 127.0.0.1:${port}: request failed: ECONNREFUSED`,
      unsent: true,
    });
  });

  it.each([407, 403, 502])('%s → a retry that is not the fault of the signal', async (status) => {
    const { http, seek, proxy } = await setup(status);
    const send = createSeekClient({
      http,
      apiUrl: seek.apiUrl,
      userAgent: 'test/1',
      secrets: () => [],
      logger: captureLogs().logger,
      logBodies: false,
    });

    const result = await send({
      signals: [acceptedBySeek(buildSignal())],
      partnerToken: 'partner-token-1',
      requestId: '6f1c2a52-3b53-4dc1-9d53-0c7f0a0b6a01',
    });

    expect(result).toMatchObject({ kind: 'unreachable', unsent: true });
    if (result.kind === 'aborted') throw new Error('Expected a result, found an aborted request');
    expect(classify(result)).toMatchObject({
      kind: 'retry',
      reason: expect.stringContaining(`proxy ${proxy.host} answered ${status}`),
    });
  });

  it('403 for the token endpoint → not the credentials are refused', async () => {
    const { http, seek, proxy } = await setup(403);
    const { get } = createPartnerToken({
      http,
      authUrl: seek.authUrl,
      audience: 'a',
      userAgent: 'test/1',
      credentials: () => ({ clientId: 'client-1', clientSecret: 'client-secret-1' }),
    });

    await expect(get()).rejects.toMatchObject({
      code: 'PARTNER_TOKEN',
      message: `token endpoint: proxy ${proxy.host} answered 403: it forbids the connection to SEEK`,
    });
  });
});

it('an untrusted certificate behind the tunnel → an error of SEEK, not of the proxy', async () => {
  const { cert, key, stop } = await selfSigned();
  const { http, proxy, seek } = await setup();
  const tls = createServer({ cert: await readFile(cert), key: await readFile(key) }, (socket) => {
    const { port } = new URL(seek.apiUrl);
    socket.on('error', () => {}).pipe(connect(Number(port), '127.0.0.1'));
  });
  const port = await freePort();
  tls.listen(port, '127.0.0.1');
  open.push(async () => tls.close(), stop);

  await expect(
    http.post({ url: `https://127.0.0.1:${port}/`, headers: {}, body: '{}' }),
  ).rejects.toMatchObject({
    message: 'request failed: DEPTH_ZERO_SELF_SIGNED_CERT',
    unsent: true,
  });
  expect(proxy.tunnels).toMatchObject([{ target: `127.0.0.1:${port}` }]);
});
