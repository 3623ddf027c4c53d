import { PartnerTokenError } from '../../../src/worker/seek/partnerToken.ts';
import {
  answerWith,
  CHUNKED,
  chunk,
  LISTS,
  MIB,
  OBJECTS,
  pour,
  type Reply,
  sendSafely,
  setup,
} from './setupRawServer.ts';

const error = (name: unknown, more: object = {}) => ({
  message: 'As SEEK says',
  extensions: { code: name, ...more },
});
const errors = (...list: unknown[]) => JSON.stringify({ errors: list, data: null });

describe('answer of the wrong shape', () => {
  const UNREADABLE = { kind: 'retry', code: 'HTTP_200' };
  const DEAD = { kind: 'dead', code: 'BAD_USER_INPUT' };
  const UNKNOWN = { kind: 'retry', code: 'UNKNOWN' };

  it.each<[string, string | Buffer, object]>([
    ['errors a text', '{"errors":"x"}', UNREADABLE],
    ['errors an object', '{"errors":{}}', UNREADABLE],
    ['errors a number', '{"errors":7,"data":{}}', UNREADABLE],
    ['errors true', '{"errors":true,"data":{}}', UNREADABLE],
    ['errors of no objects', '{"errors":[null,1,"x"]}', UNREADABLE],
    ['errors within a list', '{"errors":[[]]}', UNREADABLE],
    ['errors of empty objects', '{"errors":[{},{}]}', UNKNOWN],
    ['an error beside other values', errors(null, error('BAD_USER_INPUT'), 1), DEAD],
    ['a code that is no text', errors(error(7)), UNKNOWN],
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
      '{"data":{"sendSignal":true},"errors":[{}],"errors":[]}',
      { kind: 'delivered' },
    ],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), UNREADABLE],
    ['UTF-16', Buffer.from('{"data":{"sendSignal":true}}', 'utf16le'), UNREADABLE],
    ['a NUL', '{"data":{}}\0', UNREADABLE],
    ['deep lists', LISTS, UNREADABLE],
    ['deep objects', OBJECTS, UNREADABLE],
    ['deep data', `{"data":{"a":${LISTS},"sendSignal":true}}`, { kind: 'delivered' }],
    [
      'deep extensions beside data',
      `{"data":{"sendSignal":true},"extensions":${LISTS}}`,
      { kind: 'delivered' },
    ],
    ['deep errors', `{"errors":${LISTS}}`, UNREADABLE],
    ['a deep message', `{"errors":[{"message":${OBJECTS}}]}`, UNKNOWN],
    ['deep extensions', `{"errors":[{"extensions":${OBJECTS}}]}`, UNKNOWN],
    [
      'deep data beside an error',
      `{"data":${OBJECTS},"errors":[${JSON.stringify(error('BAD_USER_INPUT'))}]}`,
      DEAD,
    ],
    [
      'a deep invalid field',
      `{"errors":[{"extensions":{"code":"BAD_USER_INPUT","invalidFields":{"/input/token":${LISTS}}}}]}`,
      DEAD,
    ],
    [
      'invalidFields a list',
      errors(error('BAD_USER_INPUT', { invalidFields: [[], null, 'x'] })),
      DEAD,
    ],
    [
      'invalidFields a text',
      errors(error('BAD_USER_INPUT', { invalidFields: 'x'.repeat(9_999) })),
      DEAD,
    ],
    [
      'invalidFields without texts',
      errors(
        error('BAD_USER_INPUT', {
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
        error('BAD_USER_INPUT', {
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
      'permanent errors by the thousand, and one transient',
      errors(...Array.from({ length: 9_999 }, () => error('FORBIDDEN')), error('NEW')),
      { kind: 'retry', code: 'NEW' },
    ],
    [
      'a message of a MiB',
      errors({ message: 'm'.repeat(MIB - 200), extensions: { code: 'FORBIDDEN' } }),
      { kind: 'dead', code: 'FORBIDDEN' },
    ],
    ['a code of half a MiB', errors(error('C'.repeat(MIB / 2))), { kind: 'retry' }],
    [
      'lone surrogates and NULs',
      '{"errors":[{"message":"\\ud83d\\u0000","extensions":{"code":"\\udc00\\u0000"}}]}',
      { kind: 'retry' },
    ],
  ])('%s → is classified, and logged once', async (_, body, expected) => {
    const { send, logs } = await setup(answerWith(body), { logBodies: true });

    expect((await sendSafely(send)).outcome).toMatchObject(expected);
    expect(logs.lines()).toHaveLength(1);
  });

  it('NUL and lone surrogate → removed from the result', async () => {
    const nasty = 'a\ud83d\0b';
    const { send } = await setup(
      answerWith(errors(error(nasty, { [nasty]: nasty, invalidFields: { [nasty]: [nasty] } }))),
    );

    const text = JSON.stringify((await sendSafely(send)).result);

    expect(text).not.toMatch(/\\u0000|\\ud83d/);
  });
});

describe('harmful seek token', () => {
  it.each(['e', 'code', 'message', 'user', 'BAD_USER_INPUT', 'invalidFields', 'a', '_'])(
    '%s, part of the answer → the outcome stays BAD_USER_INPUT',
    async (token) => {
      const body = errors(error('BAD_USER_INPUT', { invalidFields: { '/input/token': 'no' } }));
      const { send } = await setup(answerWith(body));

      expect((await sendSafely(() => send(1, token))).outcome).toMatchObject({
        kind: 'dead',
        code: 'BAD_USER_INPUT',
      });
    },
  );

  it.each([
    ['backslashes', '\\'],
    ['one letter', 'a'],
    ['percent signs', '%25'],
  ])('many %s, repeated through the whole answer → classified in time', async (_, unit) => {
    const echo = unit.repeat(Math.floor(MIB / 2.1 / unit.length));
    const { send } = await setup(answerWith(errors({ message: echo })), { logBodies: true });

    const { outcome } = await sendSafely(() => send(100, `${unit.repeat(200)}b`));

    expect(outcome).toMatchObject({ kind: 'retry', code: 'UNKNOWN' });
  });
});

describe('harmful token endpoint', () => {
  it.each<[string, Reply]>([
    ['garbage', (socket) => void socket.end('\0\xff\r\n\r\n')],
    ['a reset', (socket) => void socket.resetAndDestroy()],
    ['deep JSON', answerWith(LISTS)],
    ['a token in a prototype', answerWith('{"__proto__":{"access_token":"t","expires_in":9}}')],
    ['a token with a line break', answerWith('{"access_token":"t\\r\\nX: y","expires_in":9}')],
    ['a token beyond ASCII', answerWith('{"access_token":"t\\ud83d","expires_in":9}')],
    ['a list', answerWith('[{"access_token":"t","expires_in":9}]')],
    [
      'a redirect',
      answerWith('', { status: '302 Found', headers: 'Location: http://127.0.0.1:1/\r\n' }),
    ],
    [
      'an answer without end',
      async (socket) => void (await pour(socket, CHUNKED, chunk(Buffer.alloc(MIB, ' ')), 99 * MIB)),
    ],
  ])('%s → PartnerTokenError that repeats nothing of the answer', async (_, reply) => {
    const { getToken } = await setup(reply);

    const failure = await getToken().catch((err: unknown) => err);

    expect(failure).toBeInstanceOf(PartnerTokenError);
    expect(String(failure)).toMatch(/^PartnerTokenError: token endpoint: [\w :]{1,100}$/);
  });
});
