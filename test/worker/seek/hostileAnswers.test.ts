import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setImmediate as breathe } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { classify, type SendResult } from '../../../src/worker/seek/classify.ts';
import { createHttp } from '../../../src/worker/seek/http.ts';
import { createPartnerToken, PartnerTokenError } from '../../../src/worker/seek/partnerToken.ts';
import { createSeekClient } from '../../../src/worker/seek/seekClient.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import { SLACK_MS } from '../../support/inTime.ts';

const MIB = 1024 * 1024;
const TIMEOUT_MS = 2_000;
const TOKEN = 'seek-token+%2F/1';

/** What a server does with a socket on which a whole request has arrived. */
type Play = (socket: Socket, request: string) => void | Promise<void>;

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** A server that minds no rule of HTTP, and our client before it. */
const setup = async (play: Play, { timeoutMs = TIMEOUT_MS, logBodies = false } = {}) => {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
      const body = text.indexOf('\r\n\r\n') + 4;
      if (text.length < body + length) return;
      const request = text;
      text = '';
      requests.push(request);
      void play(socket, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const http = createHttp({ timeoutMs, connections: 2 });
  open.push(http.close, async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = `http://127.0.0.1:${port}/`;
  const logs = captureLogs();
  const client = createSeekClient({
    ...{ http, apiUrl: url, userAgent: 'test/1.2.3', secrets: () => [] },
    ...{ logger: logs.logger, logBodies },
  });
  const partnerToken = createPartnerToken({
    ...{ http, authUrl: url, audience: 'a', userAgent: 'test/1' },
    credentials: () => ({ clientId: 'c', clientSecret: 's' }),
  });
  const send = async (count = 1, token = TOKEN): Promise<SendResult> =>
    client({
      signals: Array.from({ length: count }, () => acceptedBySeek(buildSignal({ token }))),
      partnerToken: 'partner-token-1',
      requestId: '6f1c2a52-3b53-4dc1-9d53-0c7f0a0b6a01',
    });

  return { send, getToken: partnerToken.get, requests, logs };
};

const answer = (body: string | Buffer, { status = '200 OK', headers = '' } = {}): Buffer => {
  const bytes = Buffer.from(body);
  const head = `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${bytes.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), bytes]);
};
const say =
  (...args: Parameters<typeof answer>): Play =>
  (socket) =>
    void socket.write(answer(...args));

/** Writes for as long as anybody listens, and tells how much that was. */
const pour = async (socket: Socket, head: string, unit: Buffer, most: number): Promise<number> => {
  let poured = 0;
  socket.write(head);
  while (!socket.destroyed && poured < most) {
    const goesOn = socket.write(unit);
    poured += unit.length;
    if (goesOn) await breathe();
    else await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
  }
  return poured;
};

/** By how much the process grew at most, in MiB, while it did a piece of work. */
const growth = async (work: () => Promise<unknown>): Promise<number> => {
  const before = process.memoryUsage.rss();
  let most = before;
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss());
  };
  const looking = setInterval(look, 10);
  await work().finally(() => clearInterval(looking));
  look();
  return (most - before) / MIB;
};

/** The result, and that it came in time, kept memory and is classified. */
const evaluateAttempt = async (send: () => Promise<SendResult>) => {
  const began = performance.now();
  let result: SendResult | undefined;
  const grown = await growth(async () => {
    result = await send();
  });
  expect(performance.now() - began).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  expect(grown).toBeLessThan(300);
  if (result === undefined) throw new Error('No result');
  if (result.kind === 'aborted') throw new Error('Nobody aborted');
  const outcome = classify(result);
  if (outcome.kind === 'retry' || outcome.kind === 'dead') {
    expect(outcome.reason.length).toBeLessThanOrEqual(1_000);
    expect(outcome.code.length).toBeLessThanOrEqual(100);
    expect((outcome.reason + outcome.code).isWellFormed()).toBe(true);
  }
  return { result, outcome };
};

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const chunk = (bytes: Buffer) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

describe('an answer without end', () => {
  const GIB = 1024 * MIB;

  it.each([
    ['by its length', `HTTP/1.1 200 OK\r\nContent-Length: ${GIB}\r\n\r\n`, Buffer.alloc(MIB, ' ')],
    ['in chunks', CHUNKED, chunk(Buffer.alloc(MIB, ' '))],
    ['until the connection ends', 'HTTP/1.0 200 OK\r\n\r\n', Buffer.alloc(MIB, ' ')],
  ])('is cut where it is too long: a GiB %s', async (_, head, unit) => {
    let poured = Promise.resolve(0);
    const { send } = await setup(async (socket) => {
      poured = pour(socket, head, unit, GIB);
      await poured;
    });

    const { result } = await evaluateAttempt(send);

    expect(result).toMatchObject({ kind: 'unreachable', reason: 'answer over 1048576 bytes' });
    expect(await poured).toBeLessThan(64 * MIB);
  });

  it('is cut, and weighs little, where it comes byte by byte', async () => {
    const bytes = Buffer.from('1\r\n \r\n'.repeat(20_000));
    const { send } = await setup(async (socket) => void (await pour(socket, CHUNKED, bytes, GIB)), {
      timeoutMs: 20_000,
    });

    const grown = await growth(async () =>
      expect(await send()).toMatchObject({ reason: 'answer over 1048576 bytes' }),
    );

    expect(grown).toBeLessThan(100);
  });

  it.each([
    ['headers', 'HTTP/1.1 200 OK\r\n', Buffer.from('X-More: and more\r\n'.repeat(100))],
    ['one header', 'HTTP/1.1 200 OK\r\nX-More: ', Buffer.alloc(10_000, 'x')],
    ['interim answers', '', Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n')],
    ['a chunk’s extension', `${CHUNKED}1;`, Buffer.alloc(10_000, 'x')],
    ['trailers', `${CHUNKED}0\r\n`, Buffer.from('X-More: and more\r\n'.repeat(100))],
  ])('is given up in time: %s', async (_, head, unit) => {
    const { send } = await setup(async (socket) => void (await pour(socket, head, unit, GIB)));

    expect((await evaluateAttempt(send)).result).toMatchObject({ kind: 'unreachable' });
  });
});

describe('an answer that was packed', () => {
  it('is not asked for, and not unpacked where it comes all the same', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * MIB, ' '));
    const { send, requests } = await setup(say(bomb, { headers: 'Content-Encoding: gzip\r\n' }));

    expect((await evaluateAttempt(send)).result).toEqual({ kind: 'unreadable', status: 200 });
    expect(requests.join()).not.toMatch(/^accept-encoding/im);
  });
});

describe('an answer that breaks the rules', () => {
  const end =
    (text: string): Play =>
    (socket) =>
      void socket.end(text, 'latin1');
  const GOOD = '{"data":{"sendSignal":true}}';

  it.each<[string, Play]>([
    ['garbage', end('\0\x01\x02\xff\r\n\r\n')],
    ['half a status line', end('HTTP/1.')],
    ['a status line alone', end('HTTP/1.1 200 OK\r\n')],
    ['half its headers', end('HTTP/1.1 200 OK\r\nContent-Le')],
    ['less than its length', end(`HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n${GOOD}`)],
    ['two lengths', end(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}`)],
    ['a negative length', end('HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}')],
    ['an endless length', end(`HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(50)}\r\n\r\n{}`)],
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
  ])('is retried: %s', async (_, play) => {
    const { send } = await setup(play);

    expect((await evaluateAttempt(send)).outcome).toMatchObject({
      kind: 'retry',
      code: 'UNREACHABLE',
    });
  });

  it.each([
    ['301 Moved', 'HTTP_301', 'retry'],
    ['307 Temporary Redirect', 'HTTP_307', 'retry'],
    ['600 New', 'HTTP_600', 'retry'],
    ['999 Blocked', 'HTTP_999', 'retry'],
    ['404 Not Found', 'HTTP_404', 'dead'],
    ['451 Unavailable', 'HTTP_451', 'dead'],
  ])('is classified by its status, and no redirect followed: %s', async (status, code, kind) => {
    const headers = 'Location: http://127.0.0.1:1/elsewhere\r\n';
    const { send, requests } = await setup(say('<p>', { status, headers }));

    expect((await evaluateAttempt(send)).outcome).toMatchObject({ kind, code });
    expect(requests).toHaveLength(1);
  });

  it('to a request that nobody made goes to nobody', async () => {
    const refusal = JSON.stringify({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
    let asked = 0;
    const { send } = await setup((socket) => {
      asked += 1;
      // The second answer comes unasked for: whoever sent next on this connection would be refused.
      socket.write(Buffer.concat([answer(GOOD), ...(asked === 1 ? [answer(refusal)] : [])]));
    });

    expect((await evaluateAttempt(send)).result).toEqual({ kind: 'accepted' });
    expect((await evaluateAttempt(send)).result).toEqual({ kind: 'accepted' });
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
  ])('may ask for a wait of %j: that is %p ms', async (value, retryAfterMs) => {
    const headers = `Retry-After: ${value}\r\n`;
    const { send } = await setup(say('', { status: '503 No', headers }));

    const { outcome } = await evaluateAttempt(send);

    expect(outcome).toMatchObject({ kind: 'retry', code: 'HTTP_503' });
    expect(Reflect.get(outcome, 'retryAfterMs')).toBe(retryAfterMs);
  });
});

const deep = (levels: number, [left, right]: readonly [string, string]) =>
  left.repeat(levels) + (left === '{"a":' ? '1' : '') + right.repeat(levels);
const LEVELS = 100_000;
const LISTS = deep(LEVELS, ['[', ']']);
const OBJECTS = deep(LEVELS, ['{"a":', '}']);
const code = (name: unknown, more: object = {}) => ({
  message: 'As SEEK says',
  extensions: { code: name, ...more },
});
const errors = (...list: unknown[]) => JSON.stringify({ errors: list, data: null });

describe('an answer of the wrong shape', () => {
  const UNREADABLE = { kind: 'retry', code: 'HTTP_200' };
  const DEAD = { kind: 'dead', code: 'BAD_USER_INPUT' };
  const UNKNOWN = { kind: 'retry', code: 'UNKNOWN' };

  it.each<[string, string | Buffer, object]>([
    ['errors a text', '{"errors":"x"}', UNREADABLE],
    ['errors an object', '{"errors":{}}', UNREADABLE],
    ['errors a number', '{"errors":7,"data":{}}', UNREADABLE],
    ['errors true', '{"errors":true,"data":{}}', UNREADABLE],
    ['errors of nothing but nonsense', '{"errors":[null,1,"x"]}', UNREADABLE],
    ['errors within a list', '{"errors":[[]]}', UNREADABLE],
    ['errors of empty objects', '{"errors":[{},{}]}', UNKNOWN],
    ['an error beside nonsense', errors(null, code('BAD_USER_INPUT'), 1), DEAD],
    ['a code that is no text', errors(code(7)), UNKNOWN],
    [
      'a code in a prototype',
      '{"errors":[{"extensions":{"__proto__":{"code":"FORBIDDEN"}}}]}',
      UNKNOWN,
    ],
    [
      'extensions in a prototype',
      '{"errors":[{"__proto__":{"extensions":{"code":"FORBIDDEN"}}}]}',
      UNKNOWN,
    ],
    [
      'errors in a prototype',
      '{"__proto__":{"errors":[{}]},"data":{"sendSignal":true}}',
      { kind: 'delivered' },
    ],
    ['data in a prototype', '{"__proto__":{"data":{"sendSignal":true}}}', UNREADABLE],
    ['data a number', '{"data":7}', UNREADABLE],
    ['data false', '{"data":false}', UNREADABLE],
    ['data a list', '{"data":[{"sendSignal":true}]}', UNREADABLE],
    [
      'a key twice: the last counts',
      '{"data":{},"errors":[{}],"errors":[]}',
      { kind: 'delivered' },
    ],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), UNREADABLE],
    ['UTF-16', Buffer.from('{"data":{"sendSignal":true}}', 'utf16le'), UNREADABLE],
    ['a NUL', '{"data":{}}\0', UNREADABLE],
    ['deep lists', LISTS, UNREADABLE],
    ['deep objects', OBJECTS, UNREADABLE],
    ['deep data', `{"data":{"a":${LISTS}}}`, { kind: 'delivered' }],
    ['deep errors', `{"errors":${LISTS}}`, UNREADABLE],
    ['a deep message', `{"errors":[{"message":${OBJECTS}}]}`, UNKNOWN],
    ['deep extensions', `{"errors":[{"extensions":${OBJECTS}}]}`, UNKNOWN],
    [
      'deep data beside an error',
      `{"data":${OBJECTS},"errors":[${JSON.stringify(code('BAD_USER_INPUT'))}]}`,
      DEAD,
    ],
    [
      'a deep invalid field',
      `{"errors":[{"extensions":{"code":"BAD_USER_INPUT","invalidFields":{"/input/token":${LISTS}}}}]}`,
      DEAD,
    ],
    [
      'invalidFields a list',
      errors(code('BAD_USER_INPUT', { invalidFields: [[], null, 'x'] })),
      DEAD,
    ],
    [
      'invalidFields a text',
      errors(code('BAD_USER_INPUT', { invalidFields: 'x'.repeat(9_999) })),
      DEAD,
    ],
    [
      'invalidFields without texts',
      errors(
        code('BAD_USER_INPUT', {
          invalidFields: { '/a': null, '/b': { toString: 1, valueOf: 2 }, '/c': [[{}]] },
        }),
      ),
      DEAD,
    ],
    [
      'invalidFields under prototype keys',
      '{"errors":[{"extensions":{"code":"BAD_USER_INPUT","invalidFields":{"__proto__":{"toString":1},"constructor":"x","toString":null}}}]}',
      DEAD,
    ],
    [
      'invalidFields by the thousand',
      errors(
        code('BAD_USER_INPUT', {
          invalidFields: Object.fromEntries(
            Array.from({ length: 20_000 }, (_, n) => [`/input/${n}`, 'Is not valid']),
          ),
        }),
      ),
      DEAD,
    ],
    [
      'errors by the ten thousand',
      errors(...Array.from({ length: 30_000 }, () => ({ message: '' }))),
      UNKNOWN,
    ],
    [
      'final errors by the thousand, and one that may pass',
      errors(...Array.from({ length: 9_999 }, () => code('FORBIDDEN')), code('NEW')),
      { kind: 'retry', code: 'NEW' },
    ],
    [
      'a message of a MiB',
      errors({ message: 'm'.repeat(MIB - 200), extensions: { code: 'FORBIDDEN' } }),
      { kind: 'dead', code: 'FORBIDDEN' },
    ],
    ['a code of half a MiB', errors(code('C'.repeat(MIB / 2))), { kind: 'retry' }],
    [
      'lone surrogates and NULs',
      '{"errors":[{"message":"\\ud83d\\u0000","extensions":{"code":"\\udc00\\u0000"}}]}',
      { kind: 'retry' },
    ],
  ])('is classified: %s', async (_, body, expected) => {
    const { send, logs } = await setup(say(body), { logBodies: true });

    expect((await evaluateAttempt(send)).outcome).toMatchObject(expected);
    expect(logs.lines()).toHaveLength(1);
  });

  it('holds no NUL and no lone surrogate by the time it is kept', async () => {
    const nasty = 'a\ud83d\0b';
    const { send } = await setup(
      say(errors(code(nasty, { [nasty]: nasty, invalidFields: { [nasty]: [nasty] } }))),
    );

    const text = JSON.stringify((await evaluateAttempt(send)).result);

    expect(text).not.toMatch(/\\u0000|\\ud83d/);
  });
});

describe('a token chosen to do harm', () => {
  it.each(['e', 'code', 'message', 'user', 'BAD_USER_INPUT', 'invalidFields', 'a', '_'])(
    'does not turn a refusal into anything else: %s',
    async (token) => {
      const body = errors(code('BAD_USER_INPUT', { invalidFields: { '/input/token': 'no' } }));
      const { send } = await setup(say(body));

      expect((await evaluateAttempt(() => send(1, token))).outcome).toMatchObject({
        ...{ kind: 'dead', code: 'BAD_USER_INPUT' },
      });
    },
  );

  it.each([
    ['backslashes', '\\'],
    ['one letter', 'a'],
    ['percent signs', '%25'],
  ])('does not hold up the worker where it is echoed without end: %s', async (_, unit) => {
    const echo = unit.repeat(Math.floor(MIB / 2.1 / unit.length));
    const { send } = await setup(say(errors({ message: echo })), { logBodies: true });

    const { outcome } = await evaluateAttempt(() => send(100, `${unit.repeat(200)}b`));

    expect(outcome).toMatchObject({ kind: 'retry', code: 'UNKNOWN' });
  });
});

describe('a token endpoint that does harm', () => {
  it.each<[string, Play]>([
    ['nothing but garbage', (socket) => void socket.end('\0\xff\r\n\r\n')],
    ['a reset', (socket) => void socket.resetAndDestroy()],
    ['deep JSON', say(LISTS)],
    ['a token in a prototype', say('{"__proto__":{"access_token":"t","expires_in":9}}')],
    ['a token with a line break', say('{"access_token":"t\\r\\nX: y","expires_in":9}')],
    ['a token beyond ASCII', say('{"access_token":"t\\ud83d","expires_in":9}')],
    ['an endless life', say('{"access_token":"t","expires_in":1e400}')],
    ['a life that is over', say('{"access_token":"t","expires_in":-1}')],
    ['a list', say('[{"access_token":"t","expires_in":9}]')],
    ['a redirect', say('', { status: '302 Found', headers: 'Location: http://127.0.0.1:1/\r\n' })],
    [
      'an answer without end',
      async (socket) => void (await pour(socket, CHUNKED, chunk(Buffer.alloc(MIB, ' ')), 99 * MIB)),
    ],
  ])('is a failure of one kind, and repeats nothing: %s', async (_, play) => {
    const { getToken } = await setup(play);

    const failure = await getToken().catch((err: unknown) => err);

    expect(failure).toBeInstanceOf(PartnerTokenError);
    expect(String(failure)).toMatch(/^PartnerTokenError: token endpoint: [\w :]{1,100}$/);
  });
});
