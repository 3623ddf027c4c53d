import { createHash } from 'node:crypto';

/**
 * Enough of a token to understand "/input/token: Is not valid" without showing it: its length, the
 * beginning of its SHA-256, and which characters it holds that a careless hop would have changed.
 */
export const describeToken = (token: string): string => {
  const digest = createHash('sha256').update(token).digest('hex').slice(0, 8);
  const unusual = [
    ...(/\s/u.test(token) ? ['white space'] : []),
    ...['%', '+'].filter((character) => token.includes(character)),
  ];
  return `[token: length ${token.length}, sha256 ${digest}${
    unusual.length > 0 ? `, holds ${unusual.join(' and ')}` : ''
  }]`;
};

export const isDescription = (text: string): boolean =>
  /^\[token: length \d+, sha256 [0-9a-f]{8}(?:, holds [a-z%+ ]+)?\]$/.test(text);

// What SEEK's signals hold that is not secret, and what it looks like: anything else may be a token
// under a mistyped name, or under the wrong one.
const IDENTIFIER = /^[A-Za-z]+(?::[A-Za-z0-9_-]+){2,}$/;
const SHOWN = new Map<string, RegExp>([
  ['typeCode', /^[A-Za-z]{1,40}$/],
  ['timestamp', /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/],
  ['candidateApplicationProfileId', IDENTIFIER],
  ['positionProfileIds', IDENTIFIER],
  ['label', /^/],
  ['query', /^/],
]);

/** A body for the log: every string that is not known to be harmless is described instead. */
export const maskBody = (body: unknown, name = ''): unknown => {
  if (typeof body === 'string') return SHOWN.get(name)?.test(body) ? body : describeToken(body);
  if (Array.isArray(body)) return body.map((item) => maskBody(item, name));
  if (typeof body !== 'object' || body === null) return body;
  return Object.fromEntries(
    Object.entries(body).map(([key, value]) => [key, maskBody(value, key)]),
  );
};
