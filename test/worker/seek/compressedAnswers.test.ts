import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';

import { answerWith, MIB, sendSafely, setup } from './setupRawServer.ts';

const GOOD = '{"data":{"sendSignal":true}}';
const ACCEPTED = { kind: 'accepted' };
const encoded = (body: string | Buffer, encoding: string, status = '200 OK') =>
  answerWith(body, { status, headers: `Content-Encoding: ${encoding}\r\n` });

it('requests → ask for answers that are not compressed', async () => {
  const { send, requests } = await setup(answerWith(GOOD));

  await send();

  expect(requests.join()).toMatch(/^accept-encoding: identity\r$/im);
});

describe('compressed answer', () => {
  it.each<[string, Buffer | string]>([
    ['gzip', gzipSync(GOOD)],
    ['x-gzip', gzipSync(GOOD)],
    ['GZip', gzipSync(GOOD)],
    ['  gzip  ', gzipSync(GOOD)],
    ['deflate', deflateSync(GOOD)],
    ['deflate', deflateRawSync(GOOD)],
    ['br', brotliCompressSync(GOOD)],
    ['identity', GOOD],
    ['', GOOD],
    ['identity, gzip', gzipSync(GOOD)],
    ['gzip, identity', gzipSync(GOOD)],
    ['deflate, gzip', gzipSync(deflateSync(GOOD))],
    ['gzip,br', brotliCompressSync(gzipSync(GOOD))],
    ['gzip\r\nContent-Encoding: br', brotliCompressSync(gzipSync(GOOD))],
    ['br, deflate, gzip', gzipSync(deflateSync(brotliCompressSync(GOOD)))],
    // A proxy that decoded the body and left the header, or a header that names no encoding.
    ['gzip', GOOD],
    ['br', GOOD],
    ['deflate, gzip', GOOD],
    ['utf-8', GOOD],
    ['none', GOOD],
  ])('content-encoding %j → decoded', async (encoding, body) => {
    const { send } = await setup(encoded(body, encoding));

    expect((await sendSafely(send)).result).toEqual(ACCEPTED);
  });

  it.each<[string, string, Buffer]>([
    ['zstd', 'content encoding zstd is not supported', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
    ['compress', 'content encoding compress is not supported', Buffer.from([0x1f, 0x9d])],
    ['sécret token', 'content encoding unknown is not supported', Buffer.from([1, 2])],
    ['gzip, zstd', 'content encoding zstd is not supported', Buffer.from([0x28, 0xb5])],
    ['gzip', 'content encoding gzip cannot be decoded', Buffer.from('<p>')],
    ['gzip', 'content encoding gzip cannot be decoded', gzipSync(GOOD).subarray(0, 20)],
    ['gzip', 'content encoding gzip cannot be decoded', gzipSync(GOOD).fill(0xff, 12, 20)],
    ['deflate', 'content encoding deflate cannot be decoded', Buffer.from([0xff, 0xff])],
    ['br', 'content encoding br cannot be decoded', Buffer.from([0xff, 0xff])],
    ['br,br,br,br', 'more than 3 content encodings', brotliCompressSync(GOOD)],
    ...(['gzip', 'deflate', 'br'] as const).map((encoding): [string, string, Buffer] => [
      encoding,
      `content encoding ${encoding} decodes to more than 1048576 bytes`,
      { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }[encoding](
        Buffer.alloc(64 * MIB, ' '),
      ),
    ]),
  ])('content-encoding %s: %s → unreadable, with the reason', async (encoding, detail, body) => {
    const { send } = await setup(encoded(body, encoding));

    expect((await sendSafely(send)).result).toEqual({ kind: 'unreadable', status: 200, detail });
  });

  it('status 429, 503 and 403 → count, whether or not the body can be decoded', async () => {
    for (const status of [429, 503, 403]) {
      const { send } = await setup(
        answerWith('<p>', {
          status: `${status} No`,
          headers: 'Content-Encoding: gzip\r\nRetry-After: 7\r\n',
        }),
      );

      expect((await sendSafely(send)).result).toEqual({
        kind: 'unreadable',
        status,
        retryAfterMs: 7_000,
        detail: 'content encoding gzip cannot be decoded',
      });
    }
  });

  it.each(['gzip', 'br'])('empty %s under 503 → unreadable without a detail', async (encoding) => {
    const { send } = await setup(encoded('', encoding, '503 No'));

    expect((await sendSafely(send)).result).toEqual({ kind: 'unreadable', status: 503 });
  });

  it('errors under 400 → refused', async () => {
    const body = gzipSync('{"errors":[{"message":"m"}]}');
    const { send } = await setup(encoded(body, 'gzip', '400 Bad Request'));

    expect((await sendSafely(send)).result).toEqual({
      kind: 'refused',
      errors: [{ message: 'm' }],
    });
  });

  it('partner token → is read', async () => {
    const { getToken } = await setup(
      encoded(gzipSync('{"access_token":"compressed","expires_in":1800}'), 'gzip'),
    );

    await expect(getToken()).resolves.toBe('compressed');
  });
});
