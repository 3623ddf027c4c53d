import type { SendResult } from '../../../src/worker/seek/classify.ts';
import { createHttp, NoAnswerError } from '../../../src/worker/seek/http.ts';
import { createSeekClient } from '../../../src/worker/seek/seekClient.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import {
  buildApplicationComplete,
  buildSeekSample,
  buildSignal,
} from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import {
  cutOff,
  delivered,
  empty,
  hang,
  html,
  json,
  raw,
  refused,
  reset,
  type Script,
  type ScriptedAnswer,
  startScriptedSeek,
  trickle,
} from '../../support/scriptedSeek.ts';
import { waitFor } from '../../support/waitFor.ts';

const REQUEST_ID = '6f1c2a52-3b53-4dc1-9d53-0c7f0a0b6a01';
const BEARER = 'partner.token+%2F="/ü';
const TOKEN = 'seek+token%2B="/\\ü😀';
const CLIENT_SECRET = 'client+secret/%2F';

const open: (() => Promise<unknown>)[] = [];

const setup = async (answers: Script = [], { timeoutMs = 10_000, logBodies = false } = {}) => {
  const seek = await startScriptedSeek({ answers });
  const http = createHttp({ timeoutMs, connections: 10 });
  open.push(http.close, seek.close);
  const logs = captureLogs();
  const seconds: number[] = [];
  const client = createSeekClient({
    http,
    apiUrl: seek.apiUrl,
    userAgent: 'test/1.2.3',
    secrets: () => [CLIENT_SECRET],
    logger: logs.logger,
    logBodies,
    onRequest: (took) => seconds.push(took),
  });
  const sendAll = (signals: unknown[], partnerToken = 'partner-1', abort?: AbortSignal) =>
    client({
      signals: signals.map((signal) => acceptedBySeek(signal)),
      ...{ partnerToken, requestId: REQUEST_ID, abort },
    });
  const send = (signal: unknown = buildSignal(), partnerToken?: string, abort?: AbortSignal) =>
    sendAll([signal], partnerToken, abort);

  return { send, sendAll, seek, logs, seconds };
};

/** A client over a network that fails. */
const over = (err: Error) => {
  const client = createSeekClient({
    http: { post: () => Promise.reject(err) },
    apiUrl: 'https://graphql.example/graphql',
    userAgent: 'test/1.2.3',
    secrets: () => [],
    logger: captureLogs().logger,
    logBodies: false,
  });
  const signals = [acceptedBySeek(buildSignal())];
  return { client: () => client({ signals, partnerToken: 'p', requestId: REQUEST_ID }) };
};

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

describe('the request to SEEK', () => {
  it('is a POST with our name, the partner token and the request id that it was given', async () => {
    const { send, seek } = await setup();

    await send();

    expect(seek.requests).toMatchObject([
      {
        method: 'POST',
        headers: {
          authorization: 'Bearer partner-1',
          'content-type': expect.stringMatching(/^application\/json/),
          'user-agent': 'test/1.2.3',
          'x-request-id': REQUEST_ID,
        },
      },
    ]);
  });

  it('holds query and variables, and nothing else', async () => {
    const { send, seek } = await setup();

    await send(buildSeekSample());

    const sample = buildSeekSample();
    expect(seek.requests[0]?.body).toStrictEqual({
      query: 'mutation ($input: SendSignalInput!) { sendSignal(input: $input) }',
      variables: { input: { ...sample, positionProfileIds: [sample.positionProfileIds] } },
    });
  });

  it('holds several signals, of whatever types, in their order', async () => {
    const { sendAll, seek } = await setup();
    const signals = [buildSignal(), buildApplicationComplete({ token: TOKEN }), buildSignal()];

    await expect(sendAll(signals)).resolves.toEqual({ kind: 'accepted' });

    expect(seek.requests.map(({ body }) => body)).toStrictEqual([
      {
        query: 'mutation ($input: SendSignalsInput!) { sendSignals(input: $input) }',
        variables: {
          input: {
            signals: signals.map((signal) => JSON.parse(JSON.stringify(acceptedBySeek(signal)))),
          },
        },
      },
    ]);
  });

  it('carries success: null, and no other null', async () => {
    const { send, seek } = await setup();

    await send(buildSignal({ previous: null, candidateApplicationProfileId: null }));

    expect(seek.requests[0]?.text).toContain('"success":null');
    expect(seek.requests[0]?.text.match(/null/g)).toHaveLength(1);
  });

  it('carries a token byte for byte', async () => {
    const { send, seek } = await setup();

    await send(buildSignal({ token: TOKEN }));

    expect(seek.inputs()).toMatchObject([{ token: TOKEN }]);
  });

  it('tells how long it took, answered or not', async () => {
    const { send, seconds } = await setup([delivered(), reset()]);

    await send();
    await send();

    expect(seconds).toEqual([expect.any(Number), expect.any(Number)]);
    expect(Math.min(...seconds)).toBeGreaterThan(0);
  });
});

describe('an answer', () => {
  const good = JSON.stringify({ data: { sendSignal: true } });
  const under = (contentType: string) => raw(good, { headers: { 'content-type': contentType } });
  const unreadable = (status: number): SendResult => ({ kind: 'unreadable', status });
  const ACCEPTED: SendResult = { kind: 'accepted' };

  it.each<{ what: string; play: ScriptedAnswer; result: SendResult }>([
    { what: 'true', play: delivered(), result: ACCEPTED },
    {
      what: 'false: the value is not documented',
      play: json({ data: { sendSignal: false } }),
      result: ACCEPTED,
    },
    { what: 'null: it is nullable', play: json({ data: { sendSignal: null } }), result: ACCEPTED },
    {
      what: 'data and an empty list of errors',
      play: json({ data: { sendSignal: true }, errors: [] }),
      result: ACCEPTED,
    },
    {
      what: 'application/graphql-response+json',
      play: under('application/graphql-response+json'),
      result: ACCEPTED,
    },
    { what: 'JSON as text/plain', play: under('text/plain'), result: ACCEPTED },
    { what: 'JSON as text/html', play: under('text/html; charset=utf-8'), result: ACCEPTED },
    { what: 'JSON without a content type', play: raw(good), result: ACCEPTED },
    { what: 'JSON behind a byte order mark', play: raw(`\ufeff${good}`), result: ACCEPTED },
    { what: 'data null', play: json({ data: null }), result: unreadable(200) },
    { what: 'no data', play: json({}), result: unreadable(200) },
    { what: 'data that is a list', play: json({ data: [] }), result: unreadable(200) },
    { what: 'data that is no object', play: json({ data: 'yes' }), result: unreadable(200) },
    { what: 'an empty list of errors alone', play: json({ errors: [] }), result: unreadable(200) },
    { what: 'errors that are a text', play: json({ errors: 'x' }), result: unreadable(200) },
    {
      what: 'errors that are an object',
      play: json({ errors: { message: 'x' } }),
      result: unreadable(200),
    },
    { what: 'errors that are texts', play: json({ errors: ['x'] }), result: unreadable(200) },
    { what: 'errors that are null', play: json({ errors: [null] }), result: unreadable(200) },
    { what: 'JSON that is no object', play: json('fine'), result: unreadable(200) },
    { what: 'JSON null', play: json(null), result: unreadable(200) },
    { what: 'half of a JSON', play: raw('{"data":'), result: unreadable(200) },
    { what: 'an empty 200', play: empty(200), result: unreadable(200) },
    { what: 'a 204', play: empty(204), result: unreadable(204) },
    { what: 'a 304', play: empty(304), result: unreadable(304) },
    { what: 'HTML under 200', play: html(200), result: unreadable(200) },
    { what: 'HTML under 502', play: html(502), result: unreadable(502) },
    { what: 'an empty 503', play: empty(503), result: unreadable(503) },
    {
      what: 'a 401 without GraphQL',
      play: json({ message: 'no' }, { status: 401 }),
      result: unreadable(401),
    },
    {
      what: 'a 403 without GraphQL',
      play: json({ message: 'no' }, { status: 403 }),
      result: unreadable(403),
    },
    {
      what: 'data under a 500',
      play: json({ data: { sendSignal: true } }, { status: 500 }),
      result: unreadable(500),
    },
    {
      what: 'a 400 with errors that are none',
      play: json({ errors: 'x' }, { status: 400 }),
      result: unreadable(400),
    },
  ])('of $what is read as what it is', async ({ play, result }) => {
    const { send } = await setup([play]);

    await expect(send()).resolves.toEqual(result);
  });

  it.each([
    { what: 'an empty list', play: json([]) },
    { what: 'a list of answers', play: json([{ data: { sendSignal: true } }]) },
  ])('of $what is not a yes', async ({ play }) => {
    const { send } = await setup([play]);

    await expect(send()).resolves.toEqual(unreadable(200));
  });

  it('with errors null and data is a yes', async () => {
    const { send } = await setup([json({ data: { sendSignal: true }, errors: null })]);

    await expect(send()).resolves.toEqual(ACCEPTED);
  });

  it.each([200, 400, 401, 403, 429, 500, 503])(
    'with errors is looked at before its status: %i',
    async (status) => {
      const { send } = await setup([refused('NEW_CODE', { message: 'As SEEK says', status })]);

      await expect(send()).resolves.toEqual({
        kind: 'refused',
        errors: [{ message: 'As SEEK says', extensions: { code: 'NEW_CODE' } }],
        // Too many requests, whatever the errors are called.
        ...(status === 429 || status >= 500 ? { status } : {}),
      });
    },
  );

  it.each([
    { what: 'with data as well', body: { data: { sendSignal: true }, errors: [{ message: 'm' }] } },
    { what: 'with data null', body: { data: null, errors: [{ message: 'm' }] } },
    { what: 'without data', body: { errors: [{ message: 'm' }] } },
  ])('with errors is a refusal $what', async ({ body }) => {
    const { send } = await setup([json(body)]);

    await expect(send()).resolves.toEqual({ kind: 'refused', errors: [{ message: 'm' }] });
  });

  it('keeps every error, and all of its extensions', async () => {
    const errors = [
      {
        message: 'one',
        extensions: { code: 'BAD_USER_INPUT', invalidFields: { '/input/token': 'Is not valid' } },
      },
      { message: 'two', extensions: { code: 'INTERNAL_SERVER_ERROR', trace: ['a', { b: 1 }] } },
    ];
    const { send } = await setup([json({ errors })]);

    await expect(send()).resolves.toEqual({ kind: 'refused', errors });
  });

  it.each([
    { retryAfter: '7', expected: { retryAfterMs: 7_000 } },
    { retryAfter: '999999999', expected: { retryAfterMs: 10_800_000 } },
    { retryAfter: '-1', expected: {} },
    { retryAfter: 'soon', expected: {} },
  ])('asks to wait by Retry-After: $retryAfter', async ({ retryAfter, expected }) => {
    const headers = { 'retry-after': retryAfter };
    const { send } = await setup([refused('RATE_LIMITED', { headers }), html(503, headers)]);

    await expect(send()).resolves.toEqual({
      kind: 'refused',
      errors: expect.any(Array),
      ...expected,
    });
    await expect(send()).resolves.toEqual({ kind: 'unreadable', status: 503, ...expected });
  });

  it('asks to wait until a date', async () => {
    const headers = { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() };
    const { send } = await setup([html(503, headers)]);

    const result = await send();

    expect(result).toHaveProperty('retryAfterMs', expect.any(Number));
    expect(Reflect.get(result, 'retryAfterMs')).toBeGreaterThan(3_500_000);
  });
});

describe('no answer', () => {
  it.each([
    { what: 'a reset', play: reset(), reason: /^request failed/ },
    { what: 'an answer cut off', play: cutOff(), reason: /^request failed/ },
    {
      what: 'an answer over a MiB',
      play: raw('x'.repeat(1024 * 1024 + 1)),
      reason: /^answer over 1048576 bytes$/,
    },
  ])('is a value, too: $what', async ({ play, reason }) => {
    const { send } = await setup([play]);

    await expect(send()).resolves.toEqual({
      kind: 'unreachable',
      reason: expect.stringMatching(reason),
      unsent: false,
    });
  });

  it.each([
    { what: 'nothing comes', play: hang() },
    { what: 'the body trickles', play: trickle() },
  ])('is a timeout when $what', async ({ play }) => {
    const { send } = await setup([play], { timeoutMs: 60 });

    await expect(send()).resolves.toEqual({
      kind: 'unreachable',
      reason: 'no answer within 60 ms',
      unsent: false,
    });
  });

  it('for want of a connection says that nothing was sent', async () => {
    const { client } = over(new NoAnswerError('request failed: ECONNREFUSED', { unsent: true }));

    await expect(client()).resolves.toEqual({
      ...{ kind: 'unreachable', reason: 'request failed: ECONNREFUSED', unsent: true },
    });
  });

  it('is our own doing when we let go', async () => {
    const { send, seek } = await setup([hang()]);
    const abort = new AbortController();

    const sent = send(buildSignal(), 'partner-1', abort.signal);
    await waitFor(() => seek.requests.length === 1);
    abort.abort();

    await expect(sent).resolves.toEqual({ kind: 'aborted' });
  });

  it('is our own doing, in the middle of an answer as well', async () => {
    const abort = new AbortController();
    const { send } = await setup([
      (response) => {
        response.write('{"data":', () => abort.abort());
      },
    ]);

    await expect(send(buildSignal(), 'partner-1', abort.signal)).resolves.toEqual({
      kind: 'aborted',
    });
  });

  it('is not sent at all when we had let go before', async () => {
    const { send, seek } = await setup();

    await expect(send(buildSignal(), 'partner-1', AbortSignal.abort())).resolves.toEqual({
      kind: 'aborted',
    });
    expect(seek.requests).toEqual([]);
  });

  it('that was late, although we let go meanwhile, is an answer when it came first', async () => {
    const abort = new AbortController();
    const { send } = await setup();

    const result = await send(buildSignal(), 'partner-1', abort.signal);
    abort.abort();

    expect(result).toEqual({ kind: 'accepted' });
  });
});

describe('a fault of ours', () => {
  it('does not pass for an answer of SEEK’s', async () => {
    const { client } = over(new TypeError('bug'));

    await expect(client()).rejects.toThrow('The request failed before it was made');
  });
});

describe('secrets that SEEK echoes', () => {
  const spellings = (secret: string) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
  ];
  const signal = buildSignal({ token: TOKEN });
  const fragments = [TOKEN, BEARER, CLIENT_SECRET].flatMap(spellings);

  const expectNoSecret = (text: string) => {
    for (const fragment of fragments) {
      expect(text).not.toContain(fragment);
      expect(text).not.toContain(JSON.stringify(fragment).slice(1, -1));
    }
  };

  it.each(fragments)('are masked in messages, extensions and their keys: %s', async (fragment) => {
    const { send } = await setup([
      refused('BAD_USER_INPUT', {
        message: `Token ${fragment} is not valid`,
        extensions: {
          invalidFields: { '/input/token': `${fragment}: Is not valid` },
          list: [{ [fragment]: fragment }],
        },
      }),
    ]);

    const result = await send(signal, BEARER);

    expect(result).toMatchObject({
      errors: [
        {
          message: 'Token [masked] is not valid',
          extensions: {
            invalidFields: { '/input/token': '[masked]: Is not valid' },
            list: [{ '[masked]': '[masked]' }],
          },
        },
      ],
    });
  });

  it('are masked whichever of the signals they came from', async () => {
    const tokens = ['first-seek-token', TOKEN, 'third/seek+token'];
    const { sendAll, logs } = await setup(
      [
        refused('BAD_USER_INPUT', {
          message: tokens.join(' and '),
          extensions: {
            invalidFields: Object.fromEntries(
              tokens.map((token, row) => [
                `/input/signals/${row}/token`,
                `${encodeURIComponent(token)}: Is not valid`,
              ]),
            ),
          },
        }),
      ],
      { logBodies: true },
    );

    const result = await sendAll(
      tokens.map((token) => buildSignal({ token })),
      BEARER,
    );

    expect(result).toMatchObject({
      errors: [
        {
          message: '[masked] and [masked] and [masked]',
          extensions: {
            invalidFields: {
              '/input/signals/0/token': '[masked]: Is not valid',
              '/input/signals/1/token': '[masked]: Is not valid',
              '/input/signals/2/token': '[masked]: Is not valid',
            },
          },
        },
      ],
    });
    expect(logs.lines()).toHaveLength(1);
    for (const token of tokens.flatMap(spellings)) expect(logs.text()).not.toContain(token);
  });

  it.each([true, false])('do not reach the log (LOG_BODIES %s)', async (logBodies) => {
    const echoed = fragments.join(' ');
    const { send, logs } = await setup(
      [
        refused('BAD_USER_INPUT', { message: echoed, extensions: { echoed } }),
        raw(`<p>${echoed}</p>`, { status: 502 }),
        raw(echoed),
      ],
      { logBodies },
    );

    for (let number = 1; number <= 3; number += 1) await send(signal, BEARER);

    expect(logs.lines()).toHaveLength(logBodies ? 3 : 0);
    expectNoSecret(logs.text());
  });
});

describe('LOG_BODIES', () => {
  it('logs nothing when it is off', async () => {
    const { send, logs } = await setup();

    await send();

    expect(logs.text()).toBe('');
  });

  it('logs request and answer, what SEEK answered included', async () => {
    const { send, logs } = await setup([refused('FORBIDDEN', { message: 'As SEEK says' })], {
      logBodies: true,
    });

    await send();

    expect(logs.lines()).toEqual([
      expect.objectContaining({
        msg: 'seek.exchange',
        requestId: REQUEST_ID,
        status: 200,
        request: expect.objectContaining({
          query: 'mutation ($input: SendSignalInput!) { sendSignal(input: $input) }',
        }),
      }),
    ]);
    expect(logs.text()).toContain('As SEEK says');
  });

  it('describes the token so that "Is not valid" can be understood', async () => {
    const { send, logs } = await setup([], { logBodies: true });

    await send(buildSignal({ token: 'a+b%2Bc' }));

    expect(logs.lines()).toMatchObject([
      {
        request: {
          variables: {
            input: { token: expect.stringMatching(/length 7, sha256 [0-9a-f]{8}, holds % and \+/) },
          },
        },
      },
    ]);
  });

  it('logs a request that got no answer', async () => {
    const { send, logs } = await setup([reset()], { logBodies: true });

    await send();

    expect(logs.lines()).toMatchObject([{ msg: 'seek.exchange', requestId: REQUEST_ID }]);
    expect(logs.lines()[0]).not.toHaveProperty('answer');
  });

  it.each([
    { what: 'a slash that is escaped', token: 'seek/token', body: '{"a":"seek\\/token"}' },
    {
      what: 'letters beyond ASCII that are escaped',
      token: 'seek-tökén',
      body: '{"a":"seek-t\\u00f6k\\u00e9n"}',
    },
    { what: 'percent-encoding in small letters', token: 'seek+token/1', body: 'seek%2btoken%2f1' },
    {
      what: 'JSON within JSON',
      token: 'seek"token',
      body: JSON.stringify({ a: JSON.stringify({ b: 'seek"token' }) }),
    },
  ])('masks a token that the answer spells otherwise: $what', async ({ token, body }) => {
    const { send, logs } = await setup([raw(body)], { logBodies: true });

    await send(buildSignal({ token }));

    const core = /tok|t\\+u00f6|seek%2b/;
    expect(Reflect.get(logs.lines()[0] ?? {}, 'answer')).not.toMatch(core);
  });
});
