import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { type ApiProcess, buildComplete, HEADERS, startApiProcess } from './apiProcess.ts';

let api: ApiProcess;
let slowRequests: Promise<{ what: string; received: string }[]>;
beforeAll(async () => {
  api = await startApiProcess();
  // They take 30 seconds, so they run beside the other tests.
  slowRequests = Promise.all(SLOW_REQUESTS.map(sendSlowly));
});
afterEach(() => api.expectNextAccepted());
afterAll(() => api.stop());

type SlowRequest = { what: string; start: string; rest: string };

// The API waits 10 seconds for the headers of a request, and 30 for its body.
const SLOW_REQUESTS: SlowRequest[] = [
  { what: 'nothing', start: '', rest: '' },
  { what: 'headers', start: 'GET /status HTTP/1.1\r\n', rest: 'a: b\r\n' },
  {
    what: 'a body',
    start: `POST /signals HTTP/1.1\r\n${HEADERS}Content-Length: 99999\r\n\r\n`,
    rest: ' ',
  },
  {
    what: 'chunks',
    start: `POST /signals HTTP/1.1\r\n${HEADERS}Transfer-Encoding: chunked\r\n\r\n`,
    rest: '1\r\n \r\n',
  },
];

/** Sends `rest` again and again, until the API closes the connection. */
const sendSlowly = async ({ what, start, rest }: SlowRequest) => {
  const { socket, closed } = api.openConnection();
  socket.write(start);
  const sending = setInterval(() => socket.write(rest), 250);
  const received = await closed;
  clearInterval(sending);
  return { what, received };
};

describe('malformed HTTP', () => {
  const close = 'Connection: close\r\n';
  const get = (target: string, more = '') =>
    `GET ${target} HTTP/1.1\r\n${HEADERS}${more}${close}\r\n`;
  const send = (headers: string, body: string) =>
    `POST /signals HTTP/1.1\r\n${HEADERS}${close}${headers}\r\n${body}`;

  it.each<[string, string, RegExp]>([
    ['garbage', '\0\xff\x01garbage\r\n\r\n', /^HTTP\/1.1 400/],
    ['TLS', '\x16\x03\x01\x02\x00\x01', /^HTTP\/1.1 400/],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1.1 400/],
    ['HTTP/0.9', 'GET /\r\n\r\n', /^HTTP\/1.1 400/],
    ['an unknown method', `FOO / HTTP/1.1\r\n${HEADERS}\r\n`, /^HTTP\/1.1 400/],
    ['CONNECT', `CONNECT a:1 HTTP/1.1\r\n${HEADERS}\r\n`, /^$/],
    ['TRACE', `TRACE /signals HTTP/1.1\r\n${HEADERS}${close}\r\n`, /^HTTP\/1.1 405/],
    ['no host', 'GET /status HTTP/1.1\r\n\r\n', /^HTTP\/1.1 400/],
    [
      'an invalid host',
      `GET /status HTTP/1.1\r\nHost: a/../b?@#\r\n${close}\r\n`,
      /^HTTP\/1.1 400/,
    ],
    ['a target of another scheme', get('ftp://evil/status'), /^HTTP\/1.1 400/],
    ['a NUL in the target', get('/a\0b'), /^HTTP\/1.1 400/],
    ['bytes in the target', get('/signals/\xff'), /^HTTP\/1.1 400/],
    ['a target of 15 kB', get(`/${'a'.repeat(15_000)}`), /^HTTP\/1.1 404/],
    ['headers of 20 kB', get('/status', `X: ${'a'.repeat(20_000)}\r\n`), /^HTTP\/1.1 431/],
    ['3000 headers', get('/status', 'a:\r\n'.repeat(3_000)), /^HTTP\/1.1 (?:200|4)/],
    ['a NUL in a header', get('/status', 'X: a\0b\r\n'), /^HTTP\/1.1 400/],
    [
      'headers named like prototype members',
      get('/status', '__proto__: x\r\nconstructor: x\r\n'),
      /^HTTP\/1.1 200/,
    ],
    ['two keys', get('/status', 'Authorization: Bearer b\r\n'), /^HTTP\/1.1 401/],
    ['two lengths', send('Content-Length: 5\r\nContent-Length: 6\r\n', 'xxxxxx'), /^HTTP\/1.1 400/],
    [
      'a length and chunks',
      send('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
      /^HTTP\/1.1 400/,
    ],
    ['a negative length', send('Content-Length: -5\r\n', ''), /^HTTP\/1.1 400/],
    ['an endless length', send(`Content-Length: ${'9'.repeat(40)}\r\n`, ''), /^HTTP\/1.1 400/],
    [
      'a chunk without a size',
      send('Transfer-Encoding: chunked\r\n', 'ZZ\r\nfoo\r\n'),
      /^HTTP\/1.1 400/,
    ],
    [
      'a body with a GET',
      get('/status', 'Content-Length: 5\r\n').concat('hello'),
      /^HTTP\/1.1 200/,
    ],
    [
      'an unknown expectation',
      send('Expect: coffee\r\nContent-Length: 0\r\n', ''),
      /^HTTP\/1.1 417/,
    ],
  ])('%s → an answer with the right status, or a closed connection', async (_, bytes, response) => {
    expect(await api.sendRaw(bytes)).toMatch(response);
  });

  it('after valid requests on the same connection → each valid request is answered in order', async () => {
    const bodies = [buildComplete(), buildComplete(), buildComplete()].map((signal) =>
      JSON.stringify(signal),
    );
    const requests = bodies.map(
      (body) =>
        `POST /signals HTTP/1.1\r\n${HEADERS}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );

    const received = await api.sendRaw(requests.join(''), get('/health/live'));

    expect(received.match(/HTTP\/1.1 \d+/g)).toEqual([
      'HTTP/1.1 202',
      'HTTP/1.1 202',
      'HTTP/1.1 202',
      'HTTP/1.1 200',
    ]);
    expect(await api.sendRaw(requests.join(''), '\0garbage\r\n\r\n')).toMatch(/HTTP\/1.1 [24]0/);
    const { results } = (await api.post('/signals/batch', `{"signals":[${bodies}]}`)).json();
    for (const result of results) expect(result).toMatchObject({ duplicate: true });
  });

  it('half a request, then a reset → the API keeps running', async () => {
    const { hostname, port } = new URL(api.url);
    for (const half of [`{"typeCode":`, '', '{}']) {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.write(`POST /signals HTTP/1.1\r\n${HEADERS}Content-Length: 999\r\n\r\n${half}`);
      await nextTurn();
      socket.resetAndDestroy();
    }
  });
});

describe('a slow request', () => {
  it('stops before headers or body are complete → 408 or a closed connection', async () => {
    for (const { what, received } of await slowRequests) {
      expect([what, received]).toEqual([what, expect.stringMatching(/^(?:HTTP\/1.1 408|$)/)]);
    }
  }, 60_000);
});

describe('the log of the API', () => {
  it('after all of this input → no error and no fatal line', () => {
    api.expectNoErrorInLog();
  });
});
