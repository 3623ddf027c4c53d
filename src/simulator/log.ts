import { createHash } from 'node:crypto';

/** Writes one log line. The simulator never passes it a seek token or an access token. */
export type WriteLog = (fields: Record<string, unknown>, message: string) => void;

/** Distinguishes two secrets without revealing either. */
export const fingerprint = (secret: string): string =>
  createHash('sha256').update(secret).digest('hex').slice(0, 8);

export const mask = (secret: string): string =>
  `${secret.length} chars, sha256 ${fingerprint(secret)}`;
