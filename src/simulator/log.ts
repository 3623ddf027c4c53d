import { createHash } from 'node:crypto';

/** What the simulator needs of a logger. It is never given a token of either kind. */
export type Log = (fields: Record<string, unknown>, message: string) => void;

/** Enough to tell two secrets apart, not enough to use one. */
export const fingerprint = (secret: string): string =>
  createHash('sha256').update(secret).digest('hex').slice(0, 8);

export const mask = (secret: string): string =>
  `${secret.length} chars, sha256 ${fingerprint(secret)}`;
