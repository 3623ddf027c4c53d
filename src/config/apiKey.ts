import { createHash } from 'node:crypto';

/** What a key is good for: to send signals and seek tokens, to look, or to redrive, discard, export, import and erase. */
export const SCOPES = ['enqueue', 'read', 'operate'] as const;

export type Scope = (typeof SCOPES)[number];

export type ApiKey = {
  name: string;
  scopes: readonly Scope[];
  /** Of the key itself. */
  sha256: Buffer;
  /** Absent where only its hash was given. */
  key?: string;
};

export const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest();

const ENTRY = /^(?:([A-Za-z0-9_-]+)((?:\+[a-z]+)*):)?(.*)$/s;
const HASHED = /^sha256=([0-9a-f]{64})$/i;

/** `KEY`, `NAME:KEY` or `NAME+SCOPE+…:KEY`; for the key there may be `sha256=HASH`. A string: what is wrong. */
export const parseApiKey = (text: string): ApiKey | string => {
  const [, name = 'default', suffix = '', key = ''] = ENTRY.exec(text) ?? [];
  const asked = suffix.split('+').slice(1);
  const scopes = SCOPES.filter((scope) => asked.length === 0 || asked.includes(scope));
  if (asked.some((scope) => !SCOPES.some((known) => known === scope))) {
    return `must name no scopes but ${SCOPES.join(', ')}`;
  }
  if (!/^[\x21-\x7e]+$/.test(key)) {
    return 'must be keys of visible ASCII characters, separated by commas';
  }
  const [, hash] = HASHED.exec(key) ?? [];
  return hash === undefined
    ? { name, scopes, sha256: digestOf(key), key }
    : { name, scopes, sha256: Buffer.from(hash, 'hex') };
};
