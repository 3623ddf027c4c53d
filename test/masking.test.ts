import { createHash } from 'node:crypto';

import { describeToken, maskBody } from '../src/masking.ts';
import { scrub, scrubDeep } from '../src/scrub.ts';
import { buildSignal, buildState } from './support/buildSignal.ts';

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8);

describe('describeToken', () => {
  it.each([
    { token: 'abc', holds: '' },
    { token: 'a+b', holds: ', holds +' },
    { token: 'a%2Bb+c', holds: ', holds % and +' },
    { token: ' a b\n', holds: ', holds white space' },
    { token: '% +', holds: ', holds white space and % and +' },
    { token: '', holds: '' },
    { token: 'ü😀', holds: '' },
  ])('of $token tells its length, its digest and what is unusual', ({ token, holds }) => {
    expect(describeToken(token)).toBe(
      `[token: length ${token.length}, sha256 ${digest(token)}${holds}]`,
    );
  });
});

describe('maskBody', () => {
  it('shows a signal, its token described', () => {
    const signal = buildSignal({
      positionProfileIds: ['seekAnz:positionProfile:1', 'seekAnz:positionProfile:2'],
      candidateApplicationProfileId: 'seekAnz:candidateApplicationProfile:1',
    });

    expect(maskBody(signal)).toEqual({ ...signal, token: describeToken('seek-token-1') });
  });

  it('shows numbers, booleans and null as they are', () => {
    expect(maskBody(buildState())).toEqual(buildState());
  });

  it.each([
    { what: 'under a mistyped name', body: { tokn: 's3cret' } },
    { what: 'under no name', body: 's3cret' },
    { what: 'in a list of its own', body: ['s3cret'] },
    { what: 'in a list under a mistyped name', body: { tokens: [['s3cret']] } },
    { what: 'deep down', body: { a: { b: [{ c: { token: 's3cret' } }] } } },
    { what: 'below a name that is shown', body: { label: { token: 's3cret' } } },
  ])('describes a text $what', ({ body }) => {
    const masked = JSON.stringify(maskBody(body));

    expect(masked).not.toContain('s3cret');
    expect(masked).toContain(describeToken('s3cret'));
  });

  it('leaves what it was given alone', () => {
    const body = buildSignal();

    maskBody(body);

    expect(body).toEqual(buildSignal());
  });
});

describe('scrub', () => {
  it.each([
    { text: 'nothing here', secrets: ['s3cret'], clean: 'nothing here' },
    { text: 'a s3cret, the s3cret', secrets: ['s3cret'], clean: 'a [masked], the [masked]' },
    { text: 'a%2Bb or a+b', secrets: ['a+b'], clean: '[masked] or [masked]' },
    { text: '{"t":"a\\"b"}', secrets: ['a"b'], clean: '{"t":"[masked]"}' },
    { text: 'a.*b $& a.*b', secrets: ['a.*b'], clean: '[masked] $& [masked]' },
    { text: 'secret-longer', secrets: ['secret', 'secret-longer'], clean: '[masked]' },
    { text: 'untouched', secrets: [''], clean: 'untouched' },
    { text: 'untouched', secrets: [], clean: 'untouched' },
    { text: 'a\ud83d', secrets: ['a\ud83d'], clean: '[masked]' },
  ])('$text without $secrets is $clean', ({ text, secrets, clean }) => {
    expect(scrub(text, secrets)).toBe(clean);
  });
});

describe('scrubDeep', () => {
  it('reaches every depth, keys included, and leaves what is no text', () => {
    const value = { 'a s3cret': ['s3cret', { b: 's3cret', c: 7, d: null, e: true }] };

    expect(scrubDeep(value, ['s3cret'])).toEqual({
      'a [masked]': ['[masked]', { b: '[masked]', c: 7, d: null, e: true }],
    });
  });
});

describe('maskBody, of what is not what its name says', () => {
  it.each([
    ['a typeCode', { typeCode: 'not-a-type+token' }],
    ['a timestamp', { timestamp: 'a-seek-token' }],
    ['an identifier', { positionProfileIds: ['a-seek-token'] }],
    ['a property of every object', { constructor: 'a-seek-token' }],
  ])('describes %s', (_, body) => {
    expect(JSON.stringify(maskBody(body))).toMatch(/\[token: length/);
  });
});

describe('scrub, against a hostile answer', () => {
  const token = 'seek+tök/en';

  it.each([
    ['as it is', 'seek+tök/en'],
    ['in capitals', 'SEEK+TÖK/EN'],
    ['in JSON', 'seek+t\\u00f6k\\/en'],
    ['in JSON within JSON', 'seek+t\\\\u00f6k\\\\/en'],
    ['in a URL', 'seek%2Bt%C3%B6k%2Fen'],
    ['in a URL, in small letters', 'seek%2bt%c3%b6k%2fen'],
    ['in HTML', 'seek&#43;t&#xF6;k&#x2f;en'],
  ])('masks a token %s', (_, spelled) => {
    expect(scrub(`before ${spelled} after`, [token])).toBe('before [masked] after');
  });

  it('masks the beginning of a token that was cut short', () => {
    expect(scrub('"seek-token-123… is not valid', ['seek-token-123456'])).toBe(
      '"[masked]… is not valid',
    );
  });

  it('does not follow a value into any depth', () => {
    const nested = JSON.parse(`${'['.repeat(5_000)}"${token}"${']'.repeat(5_000)}`);

    expect(JSON.stringify(scrubDeep(nested, [token]))).not.toContain(token);
  });

  it('masks the rest of a text from where a very long token begins', () => {
    const long = 'x'.repeat(1_000_000);

    expect(scrub(`before ${long} after`, [long])).toBe('before [masked]');
  });

  it('does not lose its way in a million backslashes', () => {
    const text = '\\'.repeat(1_000_000);

    expect(scrub(text, [token])).toBe(text);
  });
});
