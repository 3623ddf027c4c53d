import { createHash } from 'node:crypto';

import { maskBody, maskToken, redact, redactValue } from '../../src/observability/redact.ts';
import { buildSignal, buildState } from '../support/buildSignal.ts';

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8);

describe('maskToken', () => {
  it.each([
    { token: 'abc', holds: '' },
    { token: 'a+b', holds: ', holds +' },
    { token: 'a%2Bb+c', holds: ', holds % and +' },
    { token: ' a b\n', holds: ', holds white space' },
    { token: '% +', holds: ', holds white space and % and +' },
    { token: '', holds: '' },
    { token: 'ü😀', holds: '' },
  ])('gives the length, the digest and the unusual characters of $token', ({ token, holds }) => {
    expect(maskToken(token)).toBe(
      `[token: length ${token.length}, sha256 ${digest(token)}${holds}]`,
    );
  });
});

describe('maskBody', () => {
  it('shows a signal and masks its token', () => {
    const signal = buildSignal({
      positionProfileIds: ['seekAnz:positionProfile:1', 'seekAnz:positionProfile:2'],
      candidateApplicationProfileId: 'seekAnz:candidateApplicationProfile:1',
    });

    expect(maskBody(signal)).toEqual({ ...signal, token: maskToken('seek-token-1') });
  });

  it('shows numbers, booleans and null as they are', () => {
    expect(maskBody(buildState())).toEqual(buildState());
  });

  it.each([
    { what: 'under a mistyped name', body: { tokn: 's3cret' } },
    { what: 'under no name', body: 's3cret' },
    { what: 'in a list under no name', body: ['s3cret'] },
    { what: 'in a list under a mistyped name', body: { tokens: [['s3cret']] } },
    { what: 'deep down', body: { a: { b: [{ c: { token: 's3cret' } }] } } },
    { what: 'below a name that is shown', body: { label: { token: 's3cret' } } },
  ])('masks a text $what', ({ body }) => {
    const masked = JSON.stringify(maskBody(body));

    expect(masked).not.toContain('s3cret');
    expect(masked).toContain(maskToken('s3cret'));
  });

  it('does not change the body it receives', () => {
    const body = buildSignal();

    maskBody(body);

    expect(body).toEqual(buildSignal());
  });
});

describe('redact', () => {
  it.each([
    { text: 'nothing here', secrets: ['s3cret-1'], clean: 'nothing here' },
    { text: 'a s3cret-1, the s3cret-1', secrets: ['s3cret-1'], clean: 'a [masked], the [masked]' },
    { text: 'token%2Bab or token+ab', secrets: ['token+ab'], clean: '[masked] or [masked]' },
    { text: '{"t":"token\\"ab"}', secrets: ['token"ab'], clean: '{"t":"[masked]"}' },
    { text: 'token.*b $& token.*b', secrets: ['token.*b'], clean: '[masked] $& [masked]' },
    { text: 'secret-1-longer', secrets: ['secret-1', 'secret-1-longer'], clean: '[masked]' },
    { text: 'Too many requests', secrets: ['any', 'many', 'request'], clean: 'Too many requests' },
    { text: 'untouched', secrets: [''], clean: 'untouched' },
    { text: 'untouched', secrets: [], clean: 'untouched' },
    { text: 'token-1\ud83d', secrets: ['token-1\ud83d'], clean: '[masked]' },
  ])('turns $text into $clean when $secrets are secret', ({ text, secrets, clean }) => {
    expect(redact(text, secrets)).toBe(clean);
  });
});

describe('redactValue', () => {
  it('masks keys and texts at every depth, and leaves other values', () => {
    const value = { 'a s3cret-1': ['s3cret-1', { b: 's3cret-1', c: 7, d: null, e: true }] };

    expect(redactValue(value, ['s3cret-1'])).toEqual({
      'a [masked]': ['[masked]', { b: '[masked]', c: 7, d: null, e: true }],
    });
  });
});

describe('maskBody, for a value that has not the format of its field', () => {
  it.each([
    ['a typeCode', { typeCode: 'not-a-type+token' }],
    ['a timestamp', { timestamp: 'a-seek-token' }],
    ['an identifier', { positionProfileIds: ['a-seek-token'] }],
    ['a property of every object', { constructor: 'a-seek-token' }],
  ])('masks %s', (_, body) => {
    expect(JSON.stringify(maskBody(body))).toMatch(/\[token: length/);
  });
});

describe('redact, for a hostile answer', () => {
  const token = 'seek+tök/en';

  it.each([
    ['as it is', 'seek+tök/en'],
    ['in capitals', 'SEEK+TÖK/EN'],
    ['in JSON', 'seek+t\\u00f6k\\/en'],
    ['in JSON within JSON', 'seek+t\\\\u00f6k\\\\/en'],
    ['in a URL', 'seek%2Bt%C3%B6k%2Fen'],
    ['in a URL, in small letters', 'seek%2bt%c3%b6k%2fen'],
    ['in a URL in part', 'seek+t%C3%B6k/en'],
    ['in base64', 'c2Vlayt0w7ZrL2Vu'],
    ['in base64, escaped in a URL', 'c2Vlayt0w7ZrL2Vu'],
  ])('masks a token %s', (_, spelled) => {
    expect(redact(`before ${spelled} after`, [token])).toBe('before [masked] after');
  });

  it('masks the beginning of a token that was cut short', () => {
    expect(redact('"seek-token-123… is not valid', ['seek-token-123456'])).toBe(
      '"[masked]… is not valid',
    );
  });

  it('masks a value that is nested too deep', () => {
    const nested = JSON.parse(`${'['.repeat(5_000)}"${token}"${']'.repeat(5_000)}`);

    expect(JSON.stringify(redactValue(nested, [token]))).not.toContain(token);
  });

  it('masks a text to its end from the start of a very long token', () => {
    const long = 'x'.repeat(1_000_000);

    expect(redact(`before ${long} after`, [long])).toBe('before [masked]');
  });

  it('returns a million backslashes unchanged', () => {
    const text = '\\'.repeat(1_000_000);

    expect(redact(text, [token])).toBe(text);
  });
});
