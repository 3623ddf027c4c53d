import type { SendResult } from '../../../src/worker/seek/classify.ts';
import { buildSignal } from '../../support/buildSignal.ts';
import {
  delivered,
  empty,
  html,
  json,
  raw,
  refused,
  type ScriptedAnswer,
} from '../../support/scriptedSeek.ts';
import { setup } from './setupSeekClient.ts';

describe('answer', () => {
  const good = JSON.stringify({ data: { sendSignal: true } });
  const under = (contentType: string) => raw(good, { headers: { 'content-type': contentType } });
  const unreadable = (status: number): SendResult => ({ kind: 'unreadable', status });
  const ACCEPTED: SendResult = { kind: 'accepted' };

  it.each<{ what: string; reply: ScriptedAnswer; result: SendResult }>([
    { what: 'data true', reply: delivered(), result: ACCEPTED },
    {
      what: 'data and an empty list of errors',
      reply: json({ data: { sendSignal: true }, errors: [] }),
      result: ACCEPTED,
    },
    {
      what: 'application/graphql-response+json',
      reply: under('application/graphql-response+json'),
      result: ACCEPTED,
    },
    { what: 'JSON as text/plain', reply: under('text/plain'), result: ACCEPTED },
    { what: 'JSON as text/html', reply: under('text/html; charset=utf-8'), result: ACCEPTED },
    { what: 'JSON without a content type', reply: raw(good), result: ACCEPTED },
    { what: 'JSON behind a byte order mark', reply: raw(`\ufeff${good}`), result: ACCEPTED },
    { what: 'data null', reply: json({ data: null }), result: unreadable(200) },
    { what: 'no data', reply: json({}), result: unreadable(200) },
    { what: 'data that is a list', reply: json({ data: [] }), result: unreadable(200) },
    { what: 'data that is no object', reply: json({ data: 'yes' }), result: unreadable(200) },
    { what: 'an empty list of errors alone', reply: json({ errors: [] }), result: unreadable(200) },
    { what: 'errors that are a text', reply: json({ errors: 'x' }), result: unreadable(200) },
    {
      what: 'errors that are an object',
      reply: json({ errors: { message: 'x' } }),
      result: unreadable(200),
    },
    { what: 'errors that are texts', reply: json({ errors: ['x'] }), result: unreadable(200) },
    { what: 'errors that are null', reply: json({ errors: [null] }), result: unreadable(200) },
    { what: 'JSON that is no object', reply: json('fine'), result: unreadable(200) },
    { what: 'JSON null', reply: json(null), result: unreadable(200) },
    { what: 'half a JSON text', reply: raw('{"data":'), result: unreadable(200) },
    { what: 'an empty 200', reply: empty(200), result: unreadable(200) },
    { what: 'a 204', reply: empty(204), result: unreadable(204) },
    { what: 'a 304', reply: empty(304), result: unreadable(304) },
    { what: 'HTML under 200', reply: html(200), result: unreadable(200) },
    { what: 'HTML under 502', reply: html(502), result: unreadable(502) },
    { what: 'an empty 503', reply: empty(503), result: unreadable(503) },
    {
      what: 'a 401 without GraphQL',
      reply: json({ message: 'no' }, { status: 401 }),
      result: unreadable(401),
    },
    {
      what: 'a 403 without GraphQL',
      reply: json({ message: 'no' }, { status: 403 }),
      result: unreadable(403),
    },
    {
      what: 'data under a 500',
      reply: json({ data: { sendSignal: true } }, { status: 500 }),
      result: unreadable(500),
    },
    {
      what: 'a 400 with errors that are none',
      reply: json({ errors: 'x' }, { status: 400 }),
      result: unreadable(400),
    },
  ])('$what → $result.kind', async ({ reply, result }) => {
    const { send } = await setup([reply]);

    await expect(send()).resolves.toEqual(result);
  });

  // SEEK documents no meaning of the value, only that success has no errors.
  it.each<{ body: string; unconfirmed: unknown }>([
    { body: '{"data":{"sendSignal":false}}', unconfirmed: false },
    { body: '{"data":{"sendSignal":null}}', unconfirmed: null },
    { body: '{"data":{"sendSignal":0}}', unconfirmed: 0 },
    { body: '{"data":{"sendSignal":1e999}}', unconfirmed: 'number' },
    { body: '{"data":{"sendSignal":"queued\\nlater"}}', unconfirmed: 'queued later' },
    { body: '{"data":{"sendSignal":{"accepted":true}}}', unconfirmed: 'object' },
    { body: '{"data":{"sendSignal":[true]}}', unconfirmed: 'array' },
  ])('no errors, and $body → accepted, with the value $unconfirmed', async (row) => {
    const { send } = await setup([raw(row.body)]);

    await expect(send()).resolves.toEqual({ kind: 'accepted', unconfirmed: row.unconfirmed });
  });

  it.each([
    { data: { sendSignals: true }, result: ACCEPTED },
    { data: { sendSignals: false }, result: { ...ACCEPTED, unconfirmed: false } },
    { data: { sendSignals: null }, result: { ...ACCEPTED, unconfirmed: null } },
  ])('batch without errors, and $data → $result', async ({ data, result }) => {
    const { sendAll } = await setup([json({ data })]);

    await expect(sendAll([buildSignal(), buildSignal()])).resolves.toEqual(result);
  });

  const without = (field: string): SendResult => ({
    kind: 'unreadable',
    status: 200,
    detail: `no data.${field}`,
  });

  it.each([
    '{"data":{}}',
    '{"data":{"message":"Request received"}}',
    '{"data":{"sendSignals":true}}',
    '{"data":{"sendsignal":true}}',
    '{"data":{"__proto__":{"sendSignal":true}}}',
    '{"data":{"data":{"sendSignal":true}},"errors":[]}',
  ])('%s, without the field that was asked for → unreadable', async (body) => {
    const { send } = await setup([raw(body)]);

    await expect(send()).resolves.toEqual(without('sendSignal'));
  });

  it.each([{}, { sendSignal: true }, { message: 'ok' }])(
    'batch answered with data %j, without sendSignals → unreadable',
    async (data) => {
      const { sendAll } = await setup([json({ data })]);

      await expect(sendAll([buildSignal(), buildSignal()])).resolves.toEqual(
        without('sendSignals'),
      );
    },
  );

  it.each([
    '"extensions":null',
    '"extensions":[]',
    '"extensions":"x"',
    '"extensions":7',
    '"extensions":false',
    '"extensions":{"cost":{"requested":1}}',
    '"errors":null',
    '"errors":[]',
    '"errors":{}',
    '"status":"error","message":"ignored"',
    '"hasNext":false,"label":null,"path":null',
    '"__proto__":{"errors":[{}]}',
  ])('true beside %s, which the specification gives no meaning → accepted', async (member) => {
    const { send, sendAll } = await setup([
      raw(`{"data":{"sendSignal":true},${member}}`),
      raw(`{${member},"data":{"sendSignals":true}}`),
    ]);

    await expect(send()).resolves.toEqual(ACCEPTED);
    await expect(sendAll([buildSignal(), buildSignal()])).resolves.toEqual(ACCEPTED);
  });

  it.each([
    '{"errors":[{"message":"m"}],"extensions":null}',
    '{"errors":[{"message":"m","path":7,"locations":"here"}],"data":null}',
    '{"errors":[{"message":"m","path":null,"locations":[null]},null,7],"data":{"sendSignal":true}}',
    '{"errors":[{"message":"m","extensions":null}],"more":{}}',
    '{"errors":[{"message":"m","extensions":[]}]}',
  ])('%s → the error, whatever is beside it', async (body) => {
    const { send } = await setup([raw(body)]);

    await expect(send()).resolves.toEqual({
      kind: 'refused',
      errors: [expect.objectContaining({ message: 'm' })],
    });
  });

  it.each(['7', 'null', '{"text":"m"}', '["m"]'])(
    'error with the message %s, which is no text → refused',
    async (message) => {
      const { send } = await setup([
        raw(`{"errors":[{"message":${message},"extensions":{"code":"FORBIDDEN"}}]}`),
      ]);

      await expect(send()).resolves.toEqual({
        kind: 'refused',
        errors: [{ message: '', extensions: { code: 'FORBIDDEN' } }],
      });
    },
  );

  it.each(['"x"', '7', 'true', '{"message":"m"}', '["x"]', '[null]', '[[]]'])(
    'errors %s, which cannot be read, beside true → unreadable',
    async (errors) => {
      const { send } = await setup([raw(`{"data":{"sendSignal":true},"errors":${errors}}`)]);

      await expect(send()).resolves.toEqual(unreadable(200));
    },
  );

  it.each([
    { what: 'an empty list', reply: json([]) },
    { what: 'a list of answers', reply: json([{ data: { sendSignal: true } }]) },
  ])('$what → unreadable', async ({ reply }) => {
    const { send } = await setup([reply]);

    await expect(send()).resolves.toEqual(unreadable(200));
  });

  it('errors null beside data → accepted', async () => {
    const { send } = await setup([json({ data: { sendSignal: true }, errors: null })]);

    await expect(send()).resolves.toEqual(ACCEPTED);
  });

  it.each([200, 400, 401, 403, 429, 500, 503])(
    'errors under HTTP %i → refused, whatever the status',
    async (status) => {
      const { send } = await setup([refused('NEW_CODE', { message: 'As SEEK says', status })]);

      await expect(send()).resolves.toEqual({
        kind: 'refused',
        errors: [{ message: 'As SEEK says', extensions: { code: 'NEW_CODE' } }],
        // The status adds something to the errors only here.
        ...(status === 429 || status >= 500 ? { status } : {}),
      });
    },
  );

  it.each([
    { what: 'with data as well', body: { data: { sendSignal: true }, errors: [{ message: 'm' }] } },
    { what: 'with data null', body: { data: null, errors: [{ message: 'm' }] } },
    { what: 'without data', body: { errors: [{ message: 'm' }] } },
  ])('errors $what → refused', async ({ body }) => {
    const { send } = await setup([json(body)]);

    await expect(send()).resolves.toEqual({ kind: 'refused', errors: [{ message: 'm' }] });
  });

  it('several errors → all are kept, with all extensions', async () => {
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
  ])('Retry-After: $retryAfter → $expected', async ({ retryAfter, expected }) => {
    const headers = { 'retry-after': retryAfter };
    const { send } = await setup([refused('RATE_LIMITED', { headers }), html(503, headers)]);

    await expect(send()).resolves.toEqual({
      kind: 'refused',
      errors: expect.any(Array),
      ...expected,
    });
    await expect(send()).resolves.toEqual({ kind: 'unreadable', status: 503, ...expected });
  });

  it('Retry-After with a date → the milliseconds until then', async () => {
    const headers = { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() };
    const { send } = await setup([html(503, headers)]);

    const result = await send();

    expect(result).toHaveProperty('retryAfterMs', expect.any(Number));
    expect(Reflect.get(result, 'retryAfterMs')).toBeGreaterThan(3_500_000);
  });
});
