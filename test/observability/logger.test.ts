import {
  createLogger,
  createThrottle,
  escapeRaw,
  prettyOutput,
} from '../../src/observability/logger.ts';
import { captureLogs } from '../support/captureLogs.ts';

const NAMES = ['token', 'access_token', 'client_secret', 'authorization', 'password'];

describe('the logger', () => {
  it.each(NAMES)('redacts %s at each of four depths', (name) => {
    const { logger, text } = captureLogs();
    const secret = { [name]: 's3cret', other: 'shown' };

    logger.info({ ...secret, a: { ...secret, b: { ...secret, c: secret } } }, 'message');

    expect(text()).not.toContain('s3cret');
    expect(text().match(/"other":"shown"/g)).toHaveLength(4);
    expect(text().match(/\[Redacted\]/g)).toHaveLength(4);
  });

  it('redacts the bindings of a child logger', () => {
    const { logger, text } = captureLogs();

    logger
      .child({ token: 's3cret', request: { headers: { authorization: 's3cret' } } })
      .info('message');

    expect(text()).not.toContain('s3cret');
  });

  it('writes one JSON line with level, time and message', () => {
    const { logger, lines, text } = captureLogs();

    logger.warn({ signalId: 'a' }, 'signal.deadLettered');

    expect(lines()).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        signalId: 'a',
        msg: 'signal.deadLettered',
      },
    ]);
    expect(text()).toMatch(/^[^\n]+\n$/);
  });

  it('a terminal gets no control character of a field, of an error or of its stack', () => {
    const written: string[] = [];
    const terminal = { write: (line: string) => written.push(line) };
    const logger = createLogger({ level: 'info', destination: prettyOutput(terminal) });

    logger.info({ reason: 'a\u001b[31mb', err: new Error('c\u009bd\u202e') }, 'message');

    const { reason, err } = JSON.parse(written.join(''));
    expect([reason, err.message]).toEqual(['a\ufffd[31mb', 'c\ufffdd\ufffd']);
    expect(err.stack).toMatch(/\n/);
  });

  it('writes nothing below its level', () => {
    const { logger, text } = captureLogs('warn');

    logger.info('message');

    expect(text()).toBe('');
  });

  it('writes only the name, message, code and stack frames of an error', () => {
    const { logger, lines, text } = captureLogs();
    const err = Object.assign(new TypeError('broken'), {
      code: 'EBROKEN',
      command: { name: 'evalsha', args: ['{"token":"s3cret"}'] },
      cause: new Error('s3cret'),
    });

    logger.error({ err }, 'Close failed');

    expect(lines()).toMatchObject([
      { err: { type: 'TypeError', message: 'broken', code: 'EBROKEN', stack: expect.any(String) } },
    ]);
    expect(text()).not.toContain('s3cret');
  });

  it.each(['a text', undefined, null, 7])('accepts %p in place of an error', (err) => {
    const { logger, lines } = captureLogs();

    logger.error({ err }, 'Close failed');

    expect(lines()).toMatchObject([{ level: 'error', msg: 'Close failed' }]);
  });
});

it.each([
  ['{"msg":"plain ü \\u001b"}\n', '{"msg":"plain ü \\u001b"}\n'],
  ['{"msg":"\u009b31m \u202e"}\n', '{"msg":"\\u009b31m \\u202e"}\n'],
])('a line of the log %j → %j', (line, escaped) => {
  expect(escapeRaw(line)).toBe(escaped);
  expect(JSON.parse(escapeRaw(line))).toEqual(JSON.parse(line));
});

it('a throttle returns true at once, and then once per interval', () => {
  let now = 0;
  const isDue = createThrottle(10, () => now);
  const results = [0, 0, 9, 10, 11, 19, 20].map((at) => {
    now = at;
    return isDue();
  });

  expect(results).toEqual([true, false, false, true, false, false, true]);
});
