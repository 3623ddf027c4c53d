import { randomBytes } from 'node:crypto';
import fc from 'fast-check';

import { createTokenCipher, fingerprintOf, parseTokenKey } from '../../src/runtime/tokenCipher.ts';

const [OLD, NEW, STRANGE] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const TOKEN = 'seek+token%2B=ü';

describe('a sealed token', () => {
  it('opens again, byte for byte, where it belongs and nowhere else', () => {
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

  it('shows nothing of the token, and looks different each time', () => {
    const cipher = createTokenCipher([NEW]);
    const [one, other] = [cipher.encrypt(TOKEN, 'a'), cipher.encrypt(TOKEN, 'a')];

    expect(one).not.toBe(other);
    expect(Buffer.from(one?.split('.')[2] ?? '', 'base64url').includes('seek')).toBe(false);
  });

  it('is sealed by the first key, and opened by any', () => {
    const ciphertext = createTokenCipher([OLD]).encrypt(TOKEN, 'a') ?? '';
    const rotated = createTokenCipher([NEW, OLD]);

    expect(rotated.decrypt(ciphertext, 'a')).toBe(TOKEN);
    expect(createTokenCipher([NEW]).decrypt(rotated.encrypt(TOKEN, 'a') ?? '', 'a')).toBe(TOKEN);
    expect(createTokenCipher([NEW]).decrypt(ciphertext, 'a')).toBeUndefined();
  });

  it.each([
    ['in the clear', { token: TOKEN }, 'reencrypted'],
    [
      'sealed by another of our keys',
      { ciphertext: createTokenCipher([OLD]).encrypt(TOKEN, 'a') },
      'reencrypted',
    ],
    ['sealed by the first', { ciphertext: createTokenCipher([NEW]).encrypt(TOKEN, 'a') }, 'kept'],
    [
      'sealed by a stranger',
      { ciphertext: createTokenCipher([STRANGE]).encrypt(TOKEN, 'a') },
      'undecryptable',
    ],
    ['none', {}, 'kept'],
  ])('is renewed where it is to be: %s', (_, kept, kind) => {
    const renewal = createTokenCipher([NEW, OLD]).renew(kept, 'a');

    expect(renewal.kind).toBe(kind);
    if (renewal.kind !== 'reencrypted') return;
    expect(createTokenCipher([NEW]).decrypt(renewal.ciphertext, 'a')).toBe(TOKEN);
  });

  it('stays as it is where there is no key', () => {
    expect(createTokenCipher([]).renew({ token: TOKEN }, 'a')).toEqual({ kind: 'kept' });
  });

  it.each([
    // Not in its last character, of which some bits stand for nothing.
    [
      'changed',
      (ciphertext: string) => ciphertext.replace(/.(?=.$)/, (one) => (one === 'A' ? 'B' : 'A')),
    ],
    ['cut short', (ciphertext: string) => ciphertext.slice(0, 20)],
    ['of another version', (ciphertext: string) => ciphertext.replace('v1', 'v2')],
    ['no sealed token at all', () => TOKEN],
    ['empty', () => ''],
  ])('does not open where it is %s', (_, change) => {
    const cipher = createTokenCipher([NEW]);

    expect(
      cipher.decrypt(change(cipher.encrypt('a token of some length', 'a') ?? ''), 'a'),
    ).toBeUndefined();
  });

  it('is none where there is no key', () => {
    expect(createTokenCipher([]).encrypt(TOKEN, 'a')).toBeUndefined();
  });
});

describe('a key', () => {
  const bytes = Buffer.alloc(32, 0xfb);

  it.each([
    ['base64', bytes.toString('base64'), true],
    ['base64url', bytes.toString('base64url'), true],
    ['16 bytes', Buffer.alloc(16).toString('base64'), false],
    ['33 bytes', Buffer.alloc(33).toString('base64'), false],
    ['hex', bytes.toString('hex'), false],
    ['other characters', `${bytes.toString('base64').slice(0, -2)}!=`, false],
    ['nothing', '', false],
  ])('has 32 bytes in base64: %s', (_, text, isKey) => {
    expect(parseTokenKey(text)?.equals(bytes) ?? false).toBe(isKey);
  });
});

describe('a fingerprint', () => {
  it('is the same for the same token, and shows nothing of it', () => {
    expect(fingerprintOf(TOKEN)).toBe(fingerprintOf(TOKEN));
    expect(fingerprintOf(TOKEN)).not.toBe(fingerprintOf(`${TOKEN} `));
    expect(fingerprintOf(TOKEN)).toMatch(/^[0-9a-f]{32}$/);
  });
});
