import { randomBytes } from 'node:crypto';
import fc from 'fast-check';

import { createTokenCipher, fingerprintOf, parseTokenKey } from '../../src/runtime/tokenCipher.ts';

const OLD = randomBytes(32);
const NEW = randomBytes(32);
const UNKNOWN = randomBytes(32);
const TOKEN = 'seek+token%2B=ü';

describe('an encrypted token', () => {
  it('with any content → decrypts byte for byte in its own context only', () => {
    const cipher = createTokenCipher([NEW]);

    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (token, context) => {
        fc.pre(token.isWellFormed());
        const ciphertext = cipher.encrypt(token, context) ?? '';

        expect(cipher.decrypt(ciphertext, context)).toBe(token);
        expect(cipher.decrypt(ciphertext, `${context}.`)).toBeUndefined();
      }),
    );
  });

  it('encrypted twice → differs each time and shows nothing of the token', () => {
    const cipher = createTokenCipher([NEW]);
    const [one, other] = [cipher.encrypt(TOKEN, 'a'), cipher.encrypt(TOKEN, 'a')];

    expect(one).not.toBe(other);
    expect(Buffer.from(one?.split('.')[2] ?? '', 'base64url').includes('seek')).toBe(false);
  });

  it('with several keys → is encrypted with the first and decrypts with any', () => {
    const ciphertext = createTokenCipher([OLD]).encrypt(TOKEN, 'a') ?? '';
    const rotated = createTokenCipher([NEW, OLD]);

    expect(rotated.decrypt(ciphertext, 'a')).toBe(TOKEN);
    expect(createTokenCipher([NEW]).decrypt(rotated.encrypt(TOKEN, 'a') ?? '', 'a')).toBe(TOKEN);
    expect(createTokenCipher([NEW]).decrypt(ciphertext, 'a')).toBeUndefined();
  });

  it.each([
    ['unencrypted → is encrypted', { token: TOKEN }, 'reencrypted'],
    [
      'encrypted with another known key → is re-encrypted',
      { ciphertext: createTokenCipher([OLD]).encrypt(TOKEN, 'a') },
      'reencrypted',
    ],
    [
      'encrypted with the first key → is unchanged',
      { ciphertext: createTokenCipher([NEW]).encrypt(TOKEN, 'a') },
      'unchanged',
    ],
    [
      'encrypted with an unknown key → is undecryptable',
      { ciphertext: createTokenCipher([UNKNOWN]).encrypt(TOKEN, 'a') },
      'undecryptable',
    ],
    ['absent → is unchanged', {}, 'unchanged'],
  ])('renewed while %s', (_, stored, kind) => {
    const renewal = createTokenCipher([NEW, OLD]).renew(stored, 'a');

    expect(renewal.kind).toBe(kind);
    if (renewal.kind !== 'reencrypted') return;
    expect(createTokenCipher([NEW]).decrypt(renewal.ciphertext, 'a')).toBe(TOKEN);
  });

  it('renewed without a key → is unchanged', () => {
    expect(createTokenCipher([]).renew({ token: TOKEN }, 'a')).toEqual({ kind: 'unchanged' });
  });

  it.each([
    // The last character has unused bits, so the change is in the one before it.
    [
      'that was changed',
      (ciphertext: string) => ciphertext.replace(/.(?=.$)/, (one) => (one === 'A' ? 'B' : 'A')),
    ],
    ['that was cut short', (ciphertext: string) => ciphertext.slice(0, 20)],
    ['of another version', (ciphertext: string) => ciphertext.replace('v1', 'v2')],
    ['replaced by a plain token', () => TOKEN],
    ['replaced by an empty text', () => ''],
  ])('%s → does not decrypt', (_, change) => {
    const cipher = createTokenCipher([NEW]);

    expect(
      cipher.decrypt(change(cipher.encrypt('a token of some length', 'a') ?? ''), 'a'),
    ).toBeUndefined();
  });

  it('without a key → is undefined', () => {
    expect(createTokenCipher([]).encrypt(TOKEN, 'a')).toBeUndefined();
  });
});

describe('parseTokenKey', () => {
  const bytes = Buffer.alloc(32, 0xfb);

  it.each([
    ['base64 → a key', bytes.toString('base64'), true],
    ['base64url → a key', bytes.toString('base64url'), true],
    ['16 bytes → no key', Buffer.alloc(16).toString('base64'), false],
    ['33 bytes → no key', Buffer.alloc(33).toString('base64'), false],
    ['hex → no key', bytes.toString('hex'), false],
    ['other characters → no key', `${bytes.toString('base64').slice(0, -2)}!=`, false],
    ['an empty text → no key', '', false],
  ])('%s', (_, text, isKey) => {
    expect(parseTokenKey(text)?.equals(bytes) ?? false).toBe(isKey);
  });
});

describe('fingerprintOf', () => {
  it('the same token → the same fingerprint, which shows nothing of it', () => {
    expect(fingerprintOf(TOKEN)).toBe(fingerprintOf(TOKEN));
    expect(fingerprintOf(TOKEN)).not.toBe(fingerprintOf(`${TOKEN} `));
    expect(fingerprintOf(TOKEN)).toMatch(/^[0-9a-f]{32}$/);
  });
});
