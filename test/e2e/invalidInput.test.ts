import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
  buildState,
} from '../support/buildSignal.ts';
import { type Accepted, newToken } from '../support/startDispatcher.ts';
import { waitFor } from '../support/waitFor.ts';
import {
  type ApiProcess,
  type Body,
  buildComplete,
  REJECTED,
  startApiProcess,
} from './apiProcess.ts';

let api: ApiProcess;
beforeAll(async () => {
  api = await startApiProcess({ withWorker: true });
});
afterEach(() => api.expectNextAccepted());
afterAll(() => api.stop());

describe('names of prototype members as fields', () => {
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
    '%s at every level → an unknown field',
    async (key) => {
      const bodies = at(key);

      for (const [pointer, body] of Object.entries(bodies)) {
        const { status, json } = await api.post('/signals', body);
        expect([status, json().invalidFields]).toEqual([422, { [pointer]: 'Unknown field' }]);
      }
      const batch = await api.post(
        '/signals/batch',
        `{"signals":[${Object.values(bodies)}],"${key}":1}`,
      );
      expect(batch.json().results.map(Object.keys)).toEqual(
        Object.keys(bodies).map(() => ['invalidFields']),
      );
      expect((await api.post('/signals/batch', `{"${key}":{"signals":[]}}`)).status).toBe(422);
    },
  );
});

describe('values that Redis or PostgreSQL cannot store', () => {
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
    ['an unknown field of NULs', '/\0', JSON.stringify({ ...buildComplete(), '\0': 1 })],
    [
      'an unknown field of a lone surrogate',
      '/\ud83d',
      JSON.stringify({ ...buildComplete(), '\ud83d': 1 }),
    ],
    ['2^53', '/current/status/index', raw('9007199254740993')],
    ['1e400', '/current/status/index', raw('1e400')],
    ['a fraction', '/current/status/index', raw('1.0000001')],
    ['a negative fraction', '/current/status/index', raw('-1e-9')],
  ])('%s → 422 that names the field', async (_, pointer, body) => {
    const { status, json } = await api.post('/signals', body);

    expect([status, Object.keys(json().invalidFields)]).toEqual([422, [pointer]]);
  });

  it.each<[string, Body]>([
    ['incomplete JSON', '{"typeCode":'],
    ['two values', '{}{}'],
    ['NaN', '{"index":NaN}'],
    ['single quotes', "{'token':'t'}"],
    ['a comment', '{}//'],
    ['a trailing NUL', '{}\0'],
    ['invalid UTF-8', Uint8Array.from([0x22, 0xc3, 0x28, 0x22])],
    ['an encoded surrogate', Uint8Array.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['UTF-16', Uint8Array.from(Buffer.from('{"typeCode":"ApplicationComplete"}', 'utf16le'))],
    ['gzip', Uint8Array.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])],
  ])('a body of %s → 400, not JSON in UTF-8', async (_, body) => {
    for (const path of ['/signals', '/signals/batch', '/dead-letters/redrive']) {
      const { status, json } = await api.post(path, body);
      expect([status, json()]).toEqual([400, { message: 'The body is not JSON in UTF-8' }]);
    }
  });
});

describe('names in paths, queries and headers', () => {
  const NAMES = [
    'meta',
    'wait',
    'failed',
    'events',
    'completed',
    'marker',
    'id',
    'a:b',
    '*',
    '__proto__',
    '%00',
    '..%2f..',
    '%F0%9F%98%80',
    'x'.repeat(8_000),
  ];

  it('a path with a name that Redis, BullMQ or JavaScript uses → 404, one that is not UTF-8 → 400', async () => {
    const { json } = await api.post(
      '/signals',
      JSON.stringify({ ...buildComplete(), token: `${REJECTED}1` }),
    );
    const { signalId }: Accepted = json();
    await api.waitForState(signalId, 'dead');
    // By the time the dead letter is listed, the queue has keys of every kind.
    const deadLetters = () => api.call('/dead-letters').then((response) => response.json());
    await waitFor(async () => JSON.stringify(await deadLetters()).includes(signalId));

    for (const name of NAMES) {
      const responses = await Promise.all([
        api.call(`/signals/${name}`),
        api.call(`/dead-letters/${name}`),
        api.call(`/dead-letters/${name}/redrive`, 'POST'),
        api.call(`/dead-letters/${name}`, 'DELETE'),
      ]);
      expect([name, ...responses.map(({ status }) => status)]).toEqual([name, 404, 404, 404, 404]);
    }
    for (const name of ['%ff', '%E0%A4%A', '%ED%A0%80', '%zz']) {
      expect((await api.call(`/signals/${name}`)).status).toBe(400);
      expect((await api.call(`/dead-letters/${name}`, 'DELETE')).status).toBe(400);
    }
    expect((await api.call(`/dead-letters/${signalId}?reason=%00`, 'DELETE')).status).toBe(422);
    expect((await api.call(`/dead-letters/${signalId}?reason=`, 'DELETE')).status).toBe(422);
    expect((await api.call(`/dead-letters/${signalId}`)).status).toBe(200);
  });

  it.each([
    'limit=1e400',
    'limit=9007199254740993',
    'limit=-1',
    'limit=',
    'limit[]=1',
    'since=%00',
    '__proto__=1',
    'constructor=1',
    '%E0%A4%A=1',
    '%',
    `cursor=${'x'.repeat(8_000)}`,
  ])('query %s → 422', async (query) => {
    expect((await api.call(`/dead-letters?${query}`)).status).toBe(422);
    expect((await api.call(`/dead-letters/redrive?${query}`, 'POST')).status).toBe(422);
  });

  it.each(['\t', 'a\tb', '\u00ff', 'é', '', ' ', 'x'.repeat(256)])(
    'Idempotency-Key %j → 400',
    async (key) => {
      const { status } = await api.post('/signals', JSON.stringify(buildComplete()), {
        'idempotency-key': key,
      });

      expect(status).toBe(400);
    },
  );

  it.each(['Bearer \u00ff', 'Bearer', 'Bearer \t', `Bearer ${'x'.repeat(10_000)}`, 'bearer,'])(
    'Authorization %.20s → 401',
    async (authorization) => {
      expect((await api.post('/signals', '{}', { authorization })).status).toBe(401);
    },
  );

  it.each(['PUT', 'PATCH', 'DELETE'])('method %s on /signals → 405', async (method) => {
    expect((await api.call('/signals', method)).status).toBe(405);
  });

  it.each([
    'text/plain',
    'application/xml',
    'multipart/form-data',
    '\u00ff',
    'application/json; charset=utf-16',
  ])('content type %s → the body is read as JSON, and accepted', async (type) => {
    const { status } = await api.post('/signals', JSON.stringify(buildComplete()), {
      'content-type': type,
    });

    expect(status).toBe(202);
  });
});

describe('unusual but valid signals', () => {
  const unusual = [
    '\u2028\u2029',
    'ü😀\u{10ffff}',
    'e\u0301 is not é',
    '\ufeffbom',
    '"\\/\b\f\r\t',
    '\x7f\x01',
    '__proto__',
    'constructor',
    '%00%2B+ &amp; <b>',
    '\u202eright to left',
    'null',
    '[]',
    '0',
    'x'.repeat(60_000),
    '😀'.repeat(15_000),
  ];

  it('in a batch with invalid signals → delivered unchanged, and the invalid ones are rejected', async () => {
    const good = unusual.flatMap((text) => [
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

    const { json } = await api.post('/signals/batch', JSON.stringify({ signals: mixed }));
    for (const signal of large) {
      expect((await api.post('/signals', JSON.stringify(signal))).status).toBe(202);
    }

    const results: object[] = json().results;
    expect(results.map((result) => 'signalId' in result)).toEqual(mixed.map((_, n) => n % 3 === 1));
    await waitFor(() =>
      good.every(({ token }) => api.seek.inputs().some((input) => hasToken(input, token))),
    );
    for (const signal of good) {
      const arrived = api.seek.inputs().filter((input) => hasToken(input, signal.token));
      expect(arrived).toEqual([signal]);
    }
  });

  const hasToken = (input: unknown, token: string) => Reflect.get(Object(input), 'token') === token;

  it('with a byte order mark and a repeated key → accepted with the last value', async () => {
    const first = newToken();
    const second = newToken();
    const body = `\ufeff{"typeCode":"ApplicationComplete","token":"${first}","token":"${second}"}`;

    const { status } = await api.post('/signals', body);

    expect(status).toBe(202);
    await waitFor(() => api.seek.inputs().some((input) => hasToken(input, second)));
    expect(api.seek.inputs().some((input) => hasToken(input, first))).toBe(false);
  });
});

describe('the log of the API', () => {
  it('after all of this input → no error and no fatal line', () => {
    api.expectNoErrorInLog();
  });
});
