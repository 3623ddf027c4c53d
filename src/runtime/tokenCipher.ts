import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const VERSION = 'v1';

/** Reads 32 bytes in base64 or base64url. `undefined`: the text is no such key. */
export const parseTokenKey = (text: string): Buffer | undefined => {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.byteLength === KEY_BYTES ? key : undefined;
};

/** Identifies equal tokens. Tokens are random enough that the fingerprint does not reveal them. */
export const fingerprintOf = (token: string): string =>
  createHash('sha256').update(token).digest('hex').slice(0, 32);

/**
 * Encrypts seek tokens at rest (AES-256-GCM). Encrypts with the first key and decrypts with any of them.
 * `context` names where the ciphertext is stored. It decrypts in no other context.
 */
export const createTokenCipher = (keys: readonly Buffer[]) => {
  const byName = new Map(keys.map((key): [string, Buffer] => [nameOf(key), key]));
  const [first] = byName;

  /** Returns `undefined` without a key: the caller has to store the token unencrypted. */
  const encrypt = (token: string, context: string): string | undefined => {
    if (first === undefined) return undefined;
    const [name, key] = first;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(additionalData(name, context));
    const ciphertext = [nonce, cipher.update(token, 'utf8'), cipher.final(), cipher.getAuthTag()];
    return `${VERSION}.${name}.${Buffer.concat(ciphertext).toString('base64url')}`;
  };

  /** Returns `undefined` if the key is unknown, the ciphertext is damaged, or the context differs. */
  const decrypt = (ciphertext: string, context: string): string | undefined => {
    const [version, name = '', body = ''] = ciphertext.split('.');
    const key = byName.get(name);
    const bytes = Buffer.from(body, 'base64url');
    const end = bytes.byteLength - TAG_BYTES;
    if (version !== VERSION || key === undefined || end < NONCE_BYTES) return undefined;
    const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES))
      .setAAD(additionalData(name, context))
      .setAuthTag(bytes.subarray(end));
    try {
      const text = [decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()];
      return Buffer.concat(text).toString('utf8');
    } catch {
      return undefined;
    }
  };

  return {
    encrypt,
    decrypt,

    /** Encrypts with the first key a token that is unencrypted or encrypted with another key. */
    renew: ({ token, ciphertext }: TokenAtRest, context: string): Renewal => {
      if (first === undefined) return { kind: 'unchanged' };
      if (ciphertext?.startsWith(`${VERSION}.${first[0]}.`)) return { kind: 'unchanged' };
      const plaintext = ciphertext === undefined ? token : decrypt(ciphertext, context);
      if (plaintext === undefined)
        return { kind: ciphertext === undefined ? 'unchanged' : 'undecryptable' };
      return { kind: 'reencrypted', ciphertext: encrypt(plaintext, context) ?? '' };
    },
  };
};

export type TokenCipher = ReturnType<typeof createTokenCipher>;

type TokenAtRest = { token?: string | undefined; ciphertext?: string | undefined };

type Renewal =
  | { kind: 'unchanged' }
  | { kind: 'undecryptable' }
  | { kind: 'reencrypted'; ciphertext: string };

/** How many tokens had each result. */
export type RenewalCounts = Record<Renewal['kind'], number>;

export const newRenewalCounts = (): RenewalCounts => ({
  unchanged: 0,
  undecryptable: 0,
  reencrypted: 0,
});

// Long enough to identify one of a few keys. It reveals nothing about the key.
const nameOf = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 8);

const additionalData = (name: string, context: string): Buffer =>
  Buffer.from(`${VERSION}.${name}.${context}`, 'utf8');
