import { createHash } from 'node:crypto';

import { textProblem } from './text.ts';

/**
 * What a key permits. `enqueue`: send signals, and record identifiers. `read`: read status, signals and dead
 * letters. `operate`: redrive, discard, export, import and erase.
 */
export const SCOPES = ['enqueue', 'read', 'operate'] as const;

export type Scope = (typeof SCOPES)[number];

export type ApiKey = {
  name: string;
  scopes: readonly Scope[];
  /** The SHA-256 of the key. */
  sha256: Buffer;
  /** Absent if only the hash is configured. */
  key?: string;
};

export const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest();

const ENTRY = /^(?:([A-Za-z0-9_-]+)((?:\+[a-z]+)*):)?(.*)$/s;
const HASHED = /^sha256=([0-9a-f]{64})$/i;

/**
 * Reads `KEY`, `NAME:KEY` or `NAME+SCOPE+…:KEY`. `sha256=HASH` may replace the key. Returns a string if
 * the text is invalid: what it must be.
 */
export const parseApiKey = (text: string): ApiKey | string => {
  const [, name = 'default', suffix = '', key = ''] = ENTRY.exec(text) ?? [];
  const named = suffix.split('+').slice(1);
  const scopes = SCOPES.filter((scope) => named.length === 0 || named.includes(scope));
  if (named.some((scope) => !SCOPES.some((known) => known === scope))) {
    return `must name no scopes but ${SCOPES.join(', ')}`;
  }
  if (!/^[\x21-\x7e]+$/.test(key)) {
    return 'must be keys of visible ASCII characters, separated by commas';
  }
  if (textProblem(key) !== undefined) return 'must be keys that are not enclosed in quotes';
  const [, hash] = HASHED.exec(key) ?? [];
  if (hash === undefined && key.startsWith('sha256=')) {
    return 'must have 64 hexadecimal digits after sha256=';
  }
  return hash === undefined
    ? { name, scopes, sha256: digestOf(key), key }
    : { name, scopes, sha256: Buffer.from(hash, 'hex') };
};
