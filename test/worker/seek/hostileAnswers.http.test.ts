import {
  answerWith,
  CHUNKED,
  chunk,
  httpAnswer,
  MIB,
  memoryGrowth,
  pour,
  type Reply,
  sendSafely,
  setup,
} from './setupRawServer.ts';

describe('endless answer', () => {
  const GIB = 1024 * MIB;

  it.each([
    [
      'with a Content-Length',
      `HTTP/1.1 200 OK\r\nContent-Length: ${GIB}\r\n\r\n`,
      Buffer.alloc(MIB, ' '),
    ],
    ['in chunks', CHUNKED, chunk(Buffer.alloc(MIB, ' '))],
    ['until the connection ends', 'HTTP/1.0 200 OK\r\n\r\n', Buffer.alloc(MIB, ' ')],
  ])('a GiB %s → unreachable after 1 MiB', async (_, head, unit) => {
    let poured = Promise.resolve(0);
    const { send } = await setup(async (socket) => {
      poured = pour(socket, head, unit, GIB);
      await poured;
    });

    const { result } = await sendSafely(send);

    expect(result).toMatchObject({ kind: 'unreachable', reason: 'answer over 1048576 bytes' });
    expect(await poured).toBeLessThan(64 * MIB);
  });

  it('byte by byte → unreachable after 1 MiB, with little memory', async () => {
    const bytes = Buffer.from('1\r\n \r\n'.repeat(20_000));
    const { send } = await setup(async (socket) => void (await pour(socket, CHUNKED, bytes, GIB)), {
      timeoutMs: 20_000,
    });

    const growth = await memoryGrowth(async () =>
      expect(await send()).toMatchObject({ reason: 'answer over 1048576 bytes' }),
    );

    expect(growth).toBeLessThan(100);
  });

  it.each([
    ['headers', 'HTTP/1.1 200 OK\r\n', Buffer.from('X-More: and more\r\n'.repeat(100))],
    ['one header', 'HTTP/1.1 200 OK\r\nX-More: ', Buffer.alloc(10_000, 'x')],
    ['interim answers', '', Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n')],
    ['a chunk’s extension', `${CHUNKED}1;`, Buffer.alloc(10_000, 'x')],
    ['trailers', `${CHUNKED}0\r\n`, Buffer.from('X-More: and more\r\n'.repeat(100))],
  ])('%s without end → unreachable within the timeout', async (_, head, unit) => {
    const { send } = await setup(async (socket) => void (await pour(socket, head, unit, GIB)));

    expect((await sendSafely(send)).result).toMatchObject({ kind: 'unreachable' });
  });
});

describe('answer that breaks HTTP', () => {
  const end =
    (text: string): Reply =>
    (socket) =>
      void socket.end(text, 'latin1');
  const GOOD = '{"data":{"sendSignal":true}}';

  it.each<[string, Reply]>([
    ['garbage', end('\0\x01\x02\xff\r\n\r\n')],
    ['half a status line', end('HTTP/1.')],
    ['a status line alone', end('HTTP/1.1 200 OK\r\n')],
    ['half its headers', end('HTTP/1.1 200 OK\r\nContent-Le')],
    ['less than its length', end(`HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n${GOOD}`)],
    ['two lengths', end(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}`)],
    ['a negative length', end('HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}')],
    [
      'a length of 50 digits',
      end(`HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(50)}\r\n\r\n{}`),
    ],
    ['a chunk of no size', end(`${CHUNKED}zz\r\n{}\r\n0\r\n\r\n`)],
    ['chunks without an end', end(`${CHUNKED}2\r\n{}\r\n`)],
    ['status 099', end('HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n')],
    ['status 0', end('HTTP/1.1 0 X\r\nContent-Length: 0\r\n\r\n')],
    ['status 10000', end('HTTP/1.1 10000 X\r\nContent-Length: 0\r\n\r\n')],
    ['status 101', end('HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n')],
    ['status 100 and no more', end('HTTP/1.1 100 Continue\r\n\r\n')],
    ['a NUL in a header', end('HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n')],
    ['HTTP/2', end('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['a reset at once', (socket) => void socket.resetAndDestroy()],
    [
      'a reset in its headers',
      (socket) => void socket.write('HTTP/1.1 200 OK\r\nX', () => socket.resetAndDestroy()),
    ],
    [
      'a reset in its body',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"da', () =>
          socket.resetAndDestroy(),
        );
      },
    ],
  ])('%s → retry as UNREACHABLE', async (_, reply) => {
    const { send } = await setup(reply);

    expect((await sendSafely(send)).outcome).toMatchObject({
      kind: 'retry',
      code: 'UNREACHABLE',
    });
  });

  it.each([
    ['301 Moved', 'HTTP_301', 'retry'],
    ['307 Temporary Redirect', 'HTTP_307', 'retry'],
    ['600 New', 'HTTP_600', 'retry'],
    ['999 Blocked', 'HTTP_999', 'retry'],
    ['404 Not Found', 'HTTP_404', 'retry'],
    ['413 Content Too Large', 'HTTP_413', 'retry'],
    ['451 Unavailable', 'HTTP_451', 'retry'],
  ])('HTTP %s → code %s, outcome %s, no redirect followed', async (status, code, kind) => {
    const headers = 'Location: http://127.0.0.1:1/elsewhere\r\n';
    const { send, requests } = await setup(answerWith('<p>', { status, headers }));

    expect((await sendSafely(send)).outcome).toMatchObject({ kind, code });
    expect(requests).toHaveLength(1);
  });

  it('second answer to one request → is not read as the answer to the next', async () => {
    const refusal = JSON.stringify({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
    let requested = 0;
    const { send } = await setup((socket) => {
      requested += 1;
      // A client that kept the connection would read the second answer as that of its next request.
      socket.write(
        Buffer.concat([httpAnswer(GOOD), ...(requested === 1 ? [httpAnswer(refusal)] : [])]),
      );
    });

    expect((await sendSafely(send)).result).toEqual({ kind: 'accepted' });
    expect((await sendSafely(send)).result).toEqual({ kind: 'accepted' });
  });

  it.each([
    ['-1', undefined],
    ['0', undefined],
    ['1e9', undefined],
    ['99999999999999999999999', 10_800_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', undefined],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 10_800_000],
    ['Fri, 99 Foo 9999 99:99:99 GMT', undefined],
    ['7\r\nRetry-After: 9', 7_000],
    ['\xff\xfe', undefined],
    ['x'.repeat(10_000), undefined],
  ])('Retry-After %j → %p ms', async (value, retryAfterMs) => {
    const headers = `Retry-After: ${value}\r\n`;
    const { send } = await setup(answerWith('', { status: '503 No', headers }));

    const { outcome } = await sendSafely(send);

    expect(outcome).toMatchObject({ kind: 'retry', code: 'HTTP_503' });
    expect(Reflect.get(outcome, 'retryAfterMs')).toBe(retryAfterMs);
  });
});
