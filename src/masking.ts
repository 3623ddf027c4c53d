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

// What SEEK's signals hold that is not secret. Anything else may be a token under a mistyped name.
const SHOWN = new Set([
  ...['typeCode', 'candidateApplicationProfileId', 'positionProfileIds', 'label', 'timestamp'],
  ...['query', 'message', 'code', 'path'],
]);

/** A body for the log: strings under any name that is not known to be harmless are described. */
export const maskBody = (body: unknown, name?: string): unknown => {
  if (typeof body === 'string')
    return name !== undefined && SHOWN.has(name) ? body : describeToken(body);
  if (Array.isArray(body)) return body.map((item) => maskBody(item, name));
  if (typeof body !== 'object' || body === null) return body;
  return Object.fromEntries(
    Object.entries(body).map(([key, value]) => [key, maskBody(value, key)]),
  );
};

const MASK = '[masked]';

/** Text from outside, with every known secret in it masked, however it was encoded. */
export const scrub = (text: string, secrets: readonly string[]): string =>
  secrets
    .flatMap((secret) => [
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret.toWellFormed()),
      secret,
    ])
    .filter((secret) => secret !== '')
    // The longest first, so that no part of one is left standing by the masking of another.
    .sort((a, b) => b.length - a.length)
    .reduce((clean, secret) => clean.replaceAll(secret, MASK), text)
    // PostgreSQL keeps neither of these, and could then not keep the signal that they are said of.
    .toWellFormed()
    .replaceAll('\0', '\u{fffd}');

/** The same at every depth. */
export const scrubDeep = (value: unknown, secrets: readonly string[]): unknown => {
  if (typeof value === 'string') return scrub(value, secrets);
  if (Array.isArray(value)) return value.map((item) => scrubDeep(item, secrets));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [scrub(key, secrets), scrubDeep(inner, secrets)]),
  );
};
