import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setImmediate as breathe } from 'node:timers/promises';
import type { SignalRecord } from '../../src/schemas/signalRecord.ts';
import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
  buildState,
} from '../support/buildSignal.ts';
import { buildCommands, type Commands, type Env } from '../support/commands.ts';
import { SLACK_MS } from '../support/inTime.ts';
import { type RedisServer, startRedis } from '../support/redisServer.ts';
import { refused, type ScriptedSeek, startScriptedSeek } from '../support/scriptedSeek.ts';
import { type Accepted, API_KEY, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';

const MIB = 1024 * 1024;
const LEVELS = 100_000;
const LISTS = '['.repeat(LEVELS) + ']'.repeat(LEVELS);
const OBJECTS = `${'{"a":'.repeat(LEVELS)}1${'}'.repeat(LEVELS)}`;
const HEAD = `Host: x\r\nAuthorization: Bearer ${API_KEY}\r\n`;
const REFUSED = 'refuse-';

type Api = { url: string; isRunning: () => boolean };

let commands: Commands;
let redis: RedisServer;
let seek: ScriptedSeek;
let env: Env;
let api: Api;
let dawdlers: Promise<Dawdled[]>;

const complete = () => buildApplicationComplete({ token: newToken() });

const startApi = async (more: Env = {}): Promise<Api> => {
  const started = commands.start(['api'], { ...env, ...more });
  return { url: await started.says(/"url":"([^"]+)"/), isRunning: started.isRunning };
};

beforeAll(async () => {
  [commands, redis, seek] = await Promise.all([
    buildCommands(),
    startRedis(),
    startScriptedSeek({
      answers: ({ text }) => (text.includes(`"${REFUSED}`) ? refused('FORBIDDEN') : undefined),
    }),
  ]);
  env = {
    ...{ ...seek.env, REDIS_URL: redis.url, API_KEYS: `ats:${API_KEY}` },
    ...{ API_PORT: '0', METRICS_PORT: '0' },
  };
  api = await startApi();
  dawdlers = Promise.all(DAWDLERS.map(dawdle));
  await commands.start(['worker'], env).says(/Worker started/);
});
afterEach(async () => {
  // Whatever came before, the next caller is served.
  const { status } = await post('/signals', JSON.stringify(complete()));
  expect([status, api.isRunning()]).toEqual([202, true]);
});
afterAll(async () => {
  await commands.stop();
  await Promise.all([redis.stop(), seek.close()]);
});

type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

const post = async (path: string, body: Body, headers: object = {}, url = api.url) => {
  const init = {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, ...headers },
    body,
  };
  const stream = body instanceof ReadableStream ? { duplex: 'half' as const } : {};
  const answer = await fetch(`${url}${path}`, { ...init, ...stream });
  const text = await answer.text();
  return { status: answer.status, text, json: () => JSON.parse(text) };
};

const call = (path: string, method = 'GET') =>
  fetch(`${api.url}${path}`, { method, headers: { authorization: `Bearer ${API_KEY}` } });

/** A connection of its own, and what is said on it until the API has hung up. */
const callRaw = () => {
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
  });
  // Whoever is still talking when the API hangs up gets a reset, which is a hang-up as well. Not by
  // `once`, which would reject.
  socket.on('error', () => {});
  const hungUp = new Promise<string>((resolve) => socket.on('close', () => resolve(heard)));
  return { socket, hungUp };
};

/** Says raw bytes. Resolves with what was heard. */
const speak = async (...parts: (string | Buffer)[]): Promise<string> => {
  const { socket, hungUp } = callRaw();
  for (const part of parts) {
    if (socket.destroyed) break;
    if (!socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)) {
      await Promise.race([once(socket, 'drain'), hungUp]).catch(() => {});
    }
  }
  return hungUp;
};

const until = async (signalId: string, state: string): Promise<void> => {
  await waitFor(async () => {
    const record: SignalRecord = JSON.parse(await (await call(`/signals/${signalId}`)).text());
    return record.state === state;
  });
};

/** MiB at most that a piece of work made the API use. Known where the system tells. */
const peakOf = async (work: () => Promise<unknown>): Promise<number> => {
  if (process.platform !== 'linux') {
    await work();
    return 0;
  }
  const pid = await pidOfApi();
  // Forgets the peaks of before: proc(5).
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  await work();
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
};

const pidOfApi = async (): Promise<string> => {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(commands.folder) && line.endsWith('\0api\0')) return pid;
  }
  throw new Error('No API runs');
};

type Dawdler = { what: string; first: string; drip: string };
type Dawdled = Dawdler & { heard: string };

// Served for 10 seconds before their headers are there, and for 30 before their body is.
const DAWDLERS: Dawdler[] = [
  { what: 'nothing', first: '', drip: '' },
  { what: 'headers', first: 'GET /status HTTP/1.1\r\n', drip: 'a: b\r\n' },
  {
    what: 'a body',
    ...{ first: `POST /signals HTTP/1.1\r\n${HEAD}Content-Length: 99999\r\n\r\n`, drip: ' ' },
  },
  {
    what: 'chunks',
    first: `POST /signals HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`,
    drip: '1\r\n \r\n',
  },
];

const dawdle = async (dawdler: Dawdler): Promise<Dawdled> => {
  const { socket, hungUp } = callRaw();
  socket.write(dawdler.first);
  const dripping = setInterval(() => socket.write(dawdler.drip), 250);
  const heard = await hungUp;
  clearInterval(dripping);
  return { ...dawdler, heard };
};

describe('a body that is too large', () => {
  const LARGE = 100 * MIB;
  const chunks = (size: number) => {
    let left = LARGE / size;
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        left -= 1;
        if (left < 0) controller.close();
        else controller.enqueue(new Uint8Array(size).fill(32));
      },
    });
  };

  it.each([
    ['of a known length', () => new Uint8Array(LARGE).fill(32), '/signals'],
    ['in chunks', () => chunks(MIB), '/signals'],
    ['in small chunks', () => chunks(1_000), '/signals/batch'],
    ['to another route', () => chunks(MIB), '/dead-letters/redrive'],
  ])('is refused without being kept: 100 MiB %s', async (_, body, path) => {
    const peak = await peakOf(async () => {
      // The rest is not read, and a caller who goes on talking may miss the answer.
      const status = await post(path, body()).then(
        (answer) => answer.status,
        () => 'cut off',
      );
      expect([413, 'cut off']).toContain(status);
    });

    expect(peak).toBeLessThan(300);
  });

  it('weighs no more where it comes byte by byte', async () => {
    const bytes = Buffer.from('1\r\n \r\n'.repeat(20_000));
    const head = `POST /signals HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`;

    const peak = await peakOf(async () => {
      expect(await speak(head, ...Array.from({ length: 54 }, () => bytes))).toMatch(
        /^HTTP\/1.1 413/,
      );
    });

    expect(peak).toBeLessThan(300);
  });

  it('of somebody without a key is not read at all', async () => {
    const answer = await post('/signals', chunks(MIB), { authorization: 'Bearer wrong' }).then(
      ({ status }) => status,
      () => 'cut off',
    );

    expect([401, 'cut off']).toContain(answer);
  });
});

describe('JSON nested a hundred thousand levels deep', () => {
  it.each([
    ['lists', LISTS],
    ['objects', OBJECTS],
    ['a token', `{"typeCode":"ApplicationComplete","token":${LISTS}}`],
    ['a type', `{"typeCode":${OBJECTS}}`],
    ['a position', `{"typeCode":"PositionStatusUpdate","positionProfileIds":${LISTS}}`],
    ['a state', `{"typeCode":"ApplicationStatusUpdate","token":"t","current":${OBJECTS}}`],
    [
      'an unknown field of a state',
      `{"typeCode":"ApplicationStatusUpdate","token":"t","current":{"x":${OBJECTS}}}`,
    ],
  ])('is answered with what is wrong: %s', async (_, body) => {
    const { status, json } = await post('/signals', body);

    expect(status).toBe(422);
    expect(json()).toMatchObject({ invalidFields: expect.any(Object) });
  });

  it('takes no neighbour with it, whether bodies are logged or not', async () => {
    const logging = await startApi({ LOG_BODIES: 'true' });
    for (const { url } of [api, logging]) {
      const good = [complete(), complete()].map((signal) => JSON.stringify(signal));
      const body = `{"signals":[${good[0]},${LISTS},${OBJECTS},${good[1]}]}`;

      const { status, json } = await post('/signals/batch', body, {}, url);

      expect(status).toBe(202);
      expect(json().results).toEqual([
        expect.objectContaining({ duplicate: false }),
        ...[{ invalidFields: expect.any(Object) }, { invalidFields: expect.any(Object) }],
        expect.objectContaining({ duplicate: false }),
      ]);
    }
  });

  it('is no filter', async () => {
    expect((await post('/dead-letters/redrive', OBJECTS)).status).toBe(422);
    expect((await post('/dead-letters/redrive', LISTS)).status).toBe(400);
  });
});

describe('a signal of very many problems', () => {
  const position = (ids: string) =>
    `{"typeCode":"PositionStatusUpdate","positionProfileIds":[${ids}]}`;
  const many = (unit: string, count: number) => Array.from({ length: count }, () => unit).join();
  const fields = (count: number) =>
    Array.from({ length: count }, (_, n) => `"${n.toString(36)}":1`).join();

  it.each([
    ['a MiB of wrong identifiers', '/signals', position(many('1', 500_000))],
    ['a MiB of empty identifiers', '/signals', position(many('""', 340_000))],
    ['a MiB of unknown fields', '/signals', `{${fields(110_000)}}`],
    [
      '4 MiB of wrong identifiers',
      '/signals/batch',
      `{"signals":[${position(many('1', 2_000_000))}]}`,
    ],
    ['4 MiB of unknown fields', '/signals/batch', `{"signals":[{${fields(400_000)}}]}`],
  ])('is answered soon and in a few words: %s', async (_, path, body) => {
    const began = performance.now();

    const peak = await peakOf(async () => {
      const { text } = await post(path, body);
      expect(text).toContain('Has more than 100 problems');
      expect(text.length).toBeLessThan(20_000);
    });

    expect(performance.now() - began).toBeLessThan(8_000 + SLACK_MS);
    expect(peak).toBeLessThan(600);
  });
});

describe('a timestamp of a hundred thousand zeros', () => {
  it('is read in no time', async () => {
    const timestamp = `2026-03-01T10:00:00.${'0'.repeat(100_000)}1Z`;
    const began = performance.now();

    const { status } = await post('/signals', JSON.stringify({ ...complete(), timestamp }));

    expect(status).toBe(202);
    expect(performance.now() - began).toBeLessThan(SLACK_MS);
  });
});

describe('keys of a prototype', () => {
  const at = (key: string) => {
    const field = `"${key}":{"token":"t","typeCode":"ApplicationComplete"}`;
    const rank = `{"label":"l","index":1,"total":1,${field}}`;
    const good = '{"label":"l","index":1,"total":1}';
    const state = (status: string, more = '') =>
      `"current":{"status":${status},"timestamp":"2026-03-01T10:00:00Z"${more}}`;
    const update = '"typeCode":"ApplicationStatusUpdate","token":"t"';
    return {
      [`/${key}`]: `{"typeCode":"ApplicationComplete","token":"t",${field}}`,
      [`/current/${key}`]: `{${update},${state(good, `,${field}`)}}`,
      [`/current/status/${key}`]: `{${update},${state(rank)}}`,
      [`/current/phase/${key}`]: `{${update},${state(good, `,"phase":${rank}`)}}`,
    };
  };

  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    'are unknown fields like any other, at every level: %s',
    async (key) => {
      const bodies = at(key);

      for (const [pointer, body] of Object.entries(bodies)) {
        const { status, json } = await post('/signals', body);
        expect([status, json().invalidFields]).toEqual([422, { [pointer]: 'Unknown field' }]);
      }
      const batch = await post(
        '/signals/batch',
        `{"signals":[${Object.values(bodies)}],"${key}":1}`,
      );
      expect(batch.json().results.map(Object.keys)).toEqual(
        Object.keys(bodies).map(() => ['invalidFields']),
      );
      expect((await post('/signals/batch', `{"${key}":{"signals":[]}}`)).status).toBe(422);
    },
  );
});

describe('values that no store would keep', () => {
  const rank = (label: unknown, index: unknown = 1) =>
    buildSignal({ current: buildState({ status: { label, index, total: 4 } }) });
  const raw = (index: string) => JSON.stringify(rank('l')).replace('"index":1', `"index":${index}`);

  it.each([
    ['a NUL in a token', '/token', JSON.stringify(buildSignal({ token: 'a\0b' }))],
    ['a lone surrogate in a token', '/token', JSON.stringify(buildSignal({ token: '\ud83d' }))],
    ['a NUL in a label', '/current/status/label', JSON.stringify(rank('\0'))],
    ['a lone surrogate in a label', '/current/status/label', JSON.stringify(rank('\udc00'))],
    [
      'a lone surrogate in an identifier',
      '/positionProfileIds/0',
      JSON.stringify(buildPositionStatusUpdate({ positionProfileIds: ['\ud83d'] })),
    ],
    ['an unknown field of NULs', '/\0', JSON.stringify({ ...complete(), '\0': 1 })],
    [
      'an unknown field of a lone surrogate',
      '/\ud83d',
      JSON.stringify({ ...complete(), '\ud83d': 1 }),
    ],
    ['2^53', '/current/status/index', raw('9007199254740993')],
    ['1e400', '/current/status/index', raw('1e400')],
    ['a fraction', '/current/status/index', raw('1.0000001')],
    ['less than nothing', '/current/status/index', raw('-1e-9')],
  ])('are refused, and named: %s', async (_, pointer, body) => {
    const { status, json } = await post('/signals', body);

    expect([status, Object.keys(json().invalidFields)]).toEqual([422, [pointer]]);
  });

  it.each<[string, Body]>([
    ['no JSON', '{"typeCode":'],
    ['two values', '{}{}'],
    ['NaN', '{"index":NaN}'],
    ['single quotes', "{'token':'t'}"],
    ['a comment', '{}//'],
    ['a NUL behind it', '{}\0'],
    ['invalid UTF-8', Uint8Array.from([0x22, 0xc3, 0x28, 0x22])],
    ['an encoded surrogate', Uint8Array.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['UTF-16', Uint8Array.from(Buffer.from('{"typeCode":"ApplicationComplete"}', 'utf16le'))],
    ['gzip', Uint8Array.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])],
  ])('are no JSON in UTF-8: %s', async (_, body) => {
    for (const path of ['/signals', '/signals/batch', '/dead-letters/redrive']) {
      const answer = await post(path, body);
      expect([answer.status, answer.json()]).toEqual([
        ...[400, { message: 'The body is not JSON in UTF-8' }],
      ]);
    }
  });
});

describe('names from outside in paths, queries and headers', () => {
  const NAMES = [
    ...['meta', 'wait', 'failed', 'events', 'completed', 'marker', 'id', 'a:b', '*', '__proto__'],
    ...['%00', '%ff', '%E0%A4%A', '%ED%A0%80', '..%2f..', '%F0%9F%98%80', 'x'.repeat(8_000)],
  ];

  it('lead nowhere, the keys of the queue’s own included', async () => {
    const { json } = await post(
      '/signals',
      JSON.stringify({ ...complete(), token: `${REFUSED}1` }),
    );
    const { signalId }: Accepted = json();
    await until(signalId, 'dead');
    // A worker fails the dead letter; by then the queue has keys of every kind.
    const deadLetters = () => call('/dead-letters').then((answer) => answer.json());
    await waitFor(async () => JSON.stringify(await deadLetters()).includes(signalId));

    for (const name of NAMES) {
      const answers = await Promise.all([
        ...[call(`/signals/${name}`), call(`/dead-letters/${name}`)],
        ...[call(`/dead-letters/${name}/redrive`, 'POST'), call(`/dead-letters/${name}`, 'DELETE')],
      ]);
      expect([name, ...answers.map(({ status }) => status)]).toEqual([name, 404, 404, 404, 404]);
    }
    expect((await call(`/dead-letters/${signalId}?reason=%00`, 'DELETE')).status).toBe(422);
    expect((await call(`/dead-letters/${signalId}?reason=`, 'DELETE')).status).toBe(422);
    expect((await call(`/dead-letters/${signalId}`)).status).toBe(200);
  });

  it.each([
    ...['limit=1e400', 'limit=9007199254740993', 'limit=-1', 'limit=', 'limit[]=1', 'since=%00'],
    ...['__proto__=1', 'constructor=1', '%E0%A4%A=1', '%', `cursor=${'x'.repeat(8_000)}`],
  ])('are no filter: %s', async (query) => {
    expect((await call(`/dead-letters?${query}`)).status).toBe(422);
    expect((await call(`/dead-letters/redrive?${query}`, 'POST')).status).toBe(422);
  });

  it.each(['\t', 'a\tb', '\u00ff', 'é', '', ' ', 'x'.repeat(256)])(
    'are no Idempotency-Key: %j',
    async (key) => {
      const { status } = await post('/signals', JSON.stringify(complete()), {
        'idempotency-key': key,
      });

      expect(status).toBe(400);
    },
  );

  it.each(['Bearer \u00ff', 'Bearer', 'Bearer \t', `Bearer ${'x'.repeat(10_000)}`, 'bearer,'])(
    'are no key: %.20s',
    async (authorization) => {
      expect((await post('/signals', '{}', { authorization })).status).toBe(401);
    },
  );

  it.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'are no method of a signal: %s',
    async (method) => {
      expect((await call('/signals', method)).status).toBe(404);
    },
  );

  it.each([
    'text/plain',
    'application/xml',
    'multipart/form-data',
    '\u00ff',
    'application/json; charset=utf-16',
  ])('change nothing about a body: content type %s', async (type) => {
    const { status } = await post('/signals', JSON.stringify(complete()), { 'content-type': type });

    expect(status).toBe(202);
  });
});

describe('what is hardly HTTP', () => {
  const close = 'Connection: close\r\n';
  const get = (target: string, more = '') => `GET ${target} HTTP/1.1\r\n${HEAD}${more}${close}\r\n`;
  const send = (headers: string, body: string) =>
    `POST /signals HTTP/1.1\r\n${HEAD}${close}${headers}\r\n${body}`;

  it.each<[string, string, RegExp]>([
    ['garbage', '\0\xff\x01garbage\r\n\r\n', /^HTTP\/1.1 400/],
    ['TLS', '\x16\x03\x01\x02\x00\x01', /^HTTP\/1.1 400/],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1.1 400/],
    ['HTTP/0.9', 'GET /\r\n\r\n', /^HTTP\/1.1 400/],
    ['an unknown method', `FOO / HTTP/1.1\r\n${HEAD}\r\n`, /^HTTP\/1.1 400/],
    ['CONNECT', `CONNECT a:1 HTTP/1.1\r\n${HEAD}\r\n`, /^$/],
    ['TRACE', `TRACE /signals HTTP/1.1\r\n${HEAD}${close}\r\n`, /^HTTP\/1.1 404/],
    ['no host', 'GET /status HTTP/1.1\r\n\r\n', /^HTTP\/1.1 400/],
    [
      'a host that is none',
      `GET /status HTTP/1.1\r\nHost: a/../b?@#\r\n${close}\r\n`,
      /^HTTP\/1.1 400/,
    ],
    ['a target that is none', get('ftp://evil/status'), /^HTTP\/1.1 400/],
    ['a NUL in the target', get('/a\0b'), /^HTTP\/1.1 400/],
    ['bytes in the target', get('/signals/\xff'), /^HTTP\/1.1 400/],
    ['a target of 15 kB', get(`/${'a'.repeat(15_000)}`), /^HTTP\/1.1 404/],
    ['headers of 20 kB', get('/status', `X: ${'a'.repeat(20_000)}\r\n`), /^HTTP\/1.1 431/],
    ['3000 headers', get('/status', 'a:\r\n'.repeat(3_000)), /^HTTP\/1.1 (?:200|4)/],
    ['a NUL in a header', get('/status', 'X: a\0b\r\n'), /^HTTP\/1.1 400/],
    [
      'headers of a prototype',
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
      'a chunk of no size',
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
  ])('is answered as such, or hung up on: %s', async (_, bytes, heard) => {
    expect(await speak(bytes)).toMatch(heard);
  });

  it('may follow requests that are good, each of which is answered in its turn', async () => {
    const bodies = [complete(), complete(), complete()].map((signal) => JSON.stringify(signal));
    const requests = bodies.map(
      (body) =>
        `POST /signals HTTP/1.1\r\n${HEAD}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );

    const heard = await speak(requests.join(''), get('/health/live'));

    expect(heard.match(/HTTP\/1.1 \d+/g)).toEqual([
      ...['HTTP/1.1 202', 'HTTP/1.1 202', 'HTTP/1.1 202', 'HTTP/1.1 200'],
    ]);
    expect(await speak(requests.join(''), '\0garbage\r\n\r\n')).toMatch(/HTTP\/1.1 [24]0/);
    const { results } = (await post('/signals/batch', `{"signals":[${bodies}]}`)).json();
    for (const result of results) expect(result).toMatchObject({ duplicate: true });
  });

  it('may be nothing but half a request', async () => {
    const { hostname, port } = new URL(api.url);
    for (const half of [`{"typeCode":`, '', '{}']) {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.write(`POST /signals HTTP/1.1\r\n${HEAD}Content-Length: 999\r\n\r\n${half}`);
      await breathe();
      socket.resetAndDestroy();
    }
  });
});

describe('good signals among all this', () => {
  const strange = [
    ...[
      '\u2028\u2029',
      'ü😀\u{10ffff}',
      'e\u0301 is not é',
      '\ufeffbom',
      '"\\/\b\f\r\t',
      '\x7f\x01',
    ],
    ...['__proto__', 'constructor', '%00%2B+ &amp; <b>', '\u202eright to left', 'null', '[]', '0'],
    ...['x'.repeat(300_000), '😀'.repeat(100_000)],
  ];

  it('arrive at SEEK as they were written, and their neighbours are told what is wrong', async () => {
    const good = strange.flatMap((text) => [
      buildApplicationComplete({ token: `.${text}.` }),
      buildSignal({
        token: newToken(),
        current: buildState({ status: { label: text, index: 1, total: 1 } }),
      }),
    ]);
    const bad: unknown[] = [
      7,
      null,
      [],
      {},
      '',
      true,
      { typeCode: 'Other' },
      { token: 'x', toString: 1 },
    ];
    const small = good.filter((signal) => JSON.stringify(signal).length < 10_000);
    const large = good.filter((signal) => !small.includes(signal));
    const mixed = small.flatMap((signal, n) => [
      bad[n % bad.length],
      signal,
      bad[(n + 3) % bad.length],
    ]);

    const { json } = await post('/signals/batch', JSON.stringify({ signals: mixed }));
    for (const signal of large) {
      expect((await post('/signals', JSON.stringify(signal))).status).toBe(202);
    }

    const results: object[] = json().results;
    expect(results.map((result) => 'signalId' in result)).toEqual(mixed.map((_, n) => n % 3 === 1));
    await waitFor(() => good.every(({ token }) => seek.inputs().some((input) => is(input, token))));
    for (const signal of good) {
      const arrived = seek.inputs().filter((input) => is(input, signal.token));
      expect(arrived).toEqual([signal]);
    }
  });

  const is = (input: unknown, token: string) => Reflect.get(Object(input), 'token') === token;

  it('may be written with a byte order mark, and with a key twice: the last one counts', async () => {
    const [one, other] = [newToken(), newToken()];
    const body = `\ufeff{"typeCode":"ApplicationComplete","token":"${one}","token":"${other}"}`;

    const { status } = await post('/signals', body);

    expect(status).toBe(202);
    await waitFor(() => seek.inputs().some((input) => is(input, other)));
    expect(seek.inputs().some((input) => is(input, one))).toBe(false);
  });
});

describe('callers who take their time', () => {
  it('are hung up on', async () => {
    for (const { what, heard } of await dawdlers) {
      expect([what, heard]).toEqual([what, expect.stringMatching(/^(?:HTTP\/1.1 408|$)/)]);
    }
  }, 60_000);
});

describe('the log of the API', () => {
  it('blames none of this on us', () => {
    const lines = commands.output().split('\n');

    expect(lines.filter((line) => /"level":"(?:error|fatal)"/.test(line))).toEqual([]);
    expect(commands.output()).toContain('signal.accepted');
  });
});
