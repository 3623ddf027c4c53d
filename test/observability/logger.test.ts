import { captureLogs } from '../support/captureLogs.ts';

const NAMES = ['token', 'access_token', 'client_secret', 'authorization', 'password'];

describe('logging', () => {
  it.each(NAMES)('redacts %s at each of four depths', (name) => {
    const { logger, text } = captureLogs();
    const secret = { [name]: 's3cret', kept: 'kept' };

    logger.info({ ...secret, a: { ...secret, b: { ...secret, c: secret } } }, 'said');

    expect(text()).not.toContain('s3cret');
    expect(text().match(/"kept":"kept"/g)).toHaveLength(4);
    expect(text().match(/\[Redacted\]/g)).toHaveLength(4);
  });

  it('redacts in the bindings of a child', () => {
    const { logger, text } = captureLogs();

    logger
      .child({ token: 's3cret', request: { headers: { authorization: 's3cret' } } })
      .info('said');

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

  it('keeps quiet below its level', () => {
    const { logger, text } = captureLogs('warn');

    logger.info('said');

    expect(text()).toBe('');
  });

  it('tells an error by name, message, code and place, and not by what it carries', () => {
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

  it.each(['a text', undefined, null, 7])('takes %p for an error', (err) => {
    const { logger, lines } = captureLogs();

    logger.error({ err }, 'Close failed');

    expect(lines()).toMatchObject([{ level: 'error', msg: 'Close failed' }]);
  });
});
