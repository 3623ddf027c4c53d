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
        const sealed = cipher.seal(token, context) ?? '';

        expect(cipher.open(sealed, context)).toBe(token);
        expect(cipher.open(sealed, `${context}.`)).toBeUndefined();
      }),
    );
  });

  it('shows nothing of the token, and looks different each time', () => {
    const cipher = createTokenCipher([NEW]);
    const [one, other] = [cipher.seal(TOKEN, 'a'), cipher.seal(TOKEN, 'a')];

    expect(one).not.toBe(other);
    expect(Buffer.from(one?.split('.')[2] ?? '', 'base64url').includes('seek')).toBe(false);
  });

  it('is sealed by the first key, and opened by any', () => {
    const sealed = createTokenCipher([OLD]).seal(TOKEN, 'a') ?? '';
    const rotated = createTokenCipher([NEW, OLD]);

    expect(rotated.open(sealed, 'a')).toBe(TOKEN);
    expect(createTokenCipher([NEW]).open(rotated.seal(TOKEN, 'a') ?? '', 'a')).toBe(TOKEN);
    expect(createTokenCipher([NEW]).open(sealed, 'a')).toBeUndefined();
  });

  it.each([
    ['in the clear', { token: TOKEN }, 'resealed'],
    [
      'sealed by another of our keys',
      { sealed: createTokenCipher([OLD]).seal(TOKEN, 'a') },
      'resealed',
    ],
    ['sealed by the first', { sealed: createTokenCipher([NEW]).seal(TOKEN, 'a') }, 'kept'],
    ['sealed by a stranger', { sealed: createTokenCipher([STRANGE]).seal(TOKEN, 'a') }, 'unopened'],
    ['none', {}, 'kept'],
  ])('is renewed where it is to be: %s', (_, kept, kind) => {
    const renewal = createTokenCipher([NEW, OLD]).renew(kept, 'a');

    expect(renewal.kind).toBe(kind);
    if (renewal.kind !== 'resealed') return;
    expect(createTokenCipher([NEW]).open(renewal.sealed, 'a')).toBe(TOKEN);
  });

  it('stays as it is where there is no key', () => {
    expect(createTokenCipher([]).renew({ token: TOKEN }, 'a')).toEqual({ kind: 'kept' });
  });

  it.each([
    // Not in its last character, of which some bits stand for nothing.
    ['changed', (sealed: string) => sealed.replace(/.(?=.$)/, (one) => (one === 'A' ? 'B' : 'A'))],
    ['cut short', (sealed: string) => sealed.slice(0, 20)],
    ['of another version', (sealed: string) => sealed.replace('v1', 'v2')],
    ['no sealed token at all', () => TOKEN],
    ['empty', () => ''],
  ])('does not open where it is %s', (_, change) => {
    const cipher = createTokenCipher([NEW]);

    expect(
      cipher.open(change(cipher.seal('a token of some length', 'a') ?? ''), 'a'),
    ).toBeUndefined();
  });

  it('is none where there is no key', () => {
    expect(createTokenCipher([]).seal(TOKEN, 'a')).toBeUndefined();
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
