import { createHash } from 'node:crypto';

/** Enough to tell two secrets apart, not enough to use one. */
export const fingerprint = (secret: string): string =>
  createHash('sha256').update(secret).digest('hex').slice(0, 8);

export const mask = (secret: string): string =>
  `${secret.length} chars, sha256 ${fingerprint(secret)}`;
