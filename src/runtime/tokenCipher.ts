import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const VERSION = 'v1';

/** Base64 or base64url of 32 bytes; `undefined`: it is no such key. */
export const parseTokenKey = (text: string): Buffer | undefined => {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.byteLength === KEY_BYTES ? key : undefined;
};

/** Tells equal tokens from others. Of something as random as a token it gives nothing away. */
export const fingerprintOf = (token: string): string =>
  createHash('sha256').update(token).digest('hex').slice(0, 32);

/**
 * Seals seek tokens for as long as they lie in the queue (AES-256-GCM): by the first key, and opens
 * what any of them has sealed. `context` says where a sealed token belongs: nowhere else does it open.
 */
export const createTokenCipher = (keys: readonly Buffer[]) => {
  const byName = new Map(keys.map((key): [string, Buffer] => [nameOf(key), key]));
  const [first] = byName;

  /** Without a key `undefined`: the token has to be kept in the clear. */
  const encrypt = (token: string, context: string): string | undefined => {
    if (first === undefined) return undefined;
    const [name, key] = first;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(boundTo(name, context));
    const ciphertext = [nonce, cipher.update(token, 'utf8'), cipher.final(), cipher.getAuthTag()];
    return `${VERSION}.${name}.${Buffer.concat(ciphertext).toString('base64url')}`;
  };

  /** `undefined`: none of our keys has sealed it, or it was changed, or belongs elsewhere. */
  const decrypt = (ciphertext: string, context: string): string | undefined => {
    const [version, name = '', body = ''] = ciphertext.split('.');
    const key = byName.get(name);
    const bytes = Buffer.from(body, 'base64url');
    const end = bytes.byteLength - TAG_BYTES;
    if (version !== VERSION || key === undefined || end < NONCE_BYTES) return undefined;
    const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES))
      .setAAD(boundTo(name, context))
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

    /** Seals with the first key what another has sealed, or none. */
    renew: ({ token, ciphertext }: Kept, context: string): Renewal => {
      if (first === undefined) return { kind: 'kept' };
      if (ciphertext?.startsWith(`${VERSION}.${first[0]}.`)) return { kind: 'kept' };
      const opened = ciphertext === undefined ? token : decrypt(ciphertext, context);
      if (opened === undefined)
        return { kind: ciphertext === undefined ? 'kept' : 'undecryptable' };
      return { kind: 'reencrypted', ciphertext: encrypt(opened, context) ?? '' };
    },
  };
};

type Kept = { token?: string | undefined; ciphertext?: string | undefined };

type Renewal =
  | { kind: 'kept' }
  | { kind: 'undecryptable' }
  | { kind: 'reencrypted'; ciphertext: string };

/** How many tokens there were of each. */
export type Tally = Record<Renewal['kind'], number>;

export const newTally = (): Tally => ({ kept: 0, undecryptable: 0, reencrypted: 0 });

export type TokenCipher = ReturnType<typeof createTokenCipher>;

// Enough to find a key again among a few; it is no secret.
const nameOf = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 8);

const boundTo = (name: string, context: string): Buffer =>
  Buffer.from(`${VERSION}.${name}.${context}`, 'utf8');
