import {
  APPLICATION_TOKENS_VERSION,
  type ApplicationTokens,
  type StoredToken,
} from '../schemas/seekToken.ts';

// A candidate may apply again many times. `byPrecedence` keeps the current token among those kept.
const MAX_TOKENS = 50;
const MAX_PAST_FINGERPRINTS = 1_000;

export const NO_TOKENS: ApplicationTokens = { version: APPLICATION_TOKENS_VERSION, tokens: [] };

/**
 * Adds a token to an application. Order-independent and idempotent: recording a known token again keeps
 * its earliest `receivedAt`, because a token's lifetime begins when SEEK creates it. A token that was
 * received before an erasure is not added.
 */
export const withToken = (known: ApplicationTokens, token: StoredToken): ApplicationTokens => {
  if (isErasedSince(known, token)) return known;
  const same = known.tokens.find((each) => isSame(each, token));
  const receivedAt = same && !isNewer(same, token) ? same.receivedAt : token.receivedAt;
  const others = known.tokens.filter((each) => !isSame(each, token));
  const all = [...others, { ...token, receivedAt }].sort(byPrecedence);
  return {
    ...NO_TOKENS,
    tokens: all.slice(0, MAX_TOKENS),
    ...(known.erasedAt && { erasedAt: known.erasedAt }),
    ...pastOf([...all.slice(MAX_TOKENS).map(fingerprintOf), ...(known.past ?? [])]),
  };
};

export const isErasedSince = (
  { erasedAt }: ApplicationTokens,
  { receivedAt }: StoredToken,
): boolean => erasedAt !== undefined && Date.parse(receivedAt) <= Date.parse(erasedAt);

/** What stays of an erased application: enough to find the signals that hold its tokens. */
export const withoutTokens = (known: ApplicationTokens, erasedAt: string): ApplicationTokens => ({
  ...NO_TOKENS,
  erasedAt,
  ...pastOf([...known.tokens.map(fingerprintOf), ...(known.past ?? [])]),
});

/**
 * Selects the token to send. A token from Apply with SEEK overrides tokens from link-outs; of the same
 * source the newest wins (developer.seek.com, "Send application complete signal"). A token received
 * after `validSince` has not expired and takes precedence over all expired ones.
 */
export const currentToken = (
  known: ApplicationTokens,
  validSince: number,
): StoredToken | undefined =>
  known.tokens.find(({ receivedAt }) => Date.parse(receivedAt) > validSince) ?? known.tokens[0];

const fingerprintOf = ({ fingerprint }: StoredToken): string => fingerprint;

const pastOf = (fingerprints: string[]): { past?: string[] } =>
  fingerprints.length === 0
    ? {}
    : { past: [...new Set(fingerprints)].slice(0, MAX_PAST_FINGERPRINTS) };

const isSame = (one: StoredToken, other: StoredToken): boolean =>
  one.fingerprint === other.fingerprint && one.source === other.source;

const isNewer = (one: StoredToken, other: StoredToken): boolean =>
  Date.parse(one.receivedAt) > Date.parse(other.receivedAt);

/** Sorts the token to send first. */
const byPrecedence = (one: StoredToken, other: StoredToken): number => {
  if (one.source !== other.source) return one.source === 'applyWithSeek' ? -1 : 1;
  const difference = Date.parse(other.receivedAt) - Date.parse(one.receivedAt);
  if (difference !== 0) return difference;
  // Received at the same instant: any order will do, as long as it is always the same one.
  return one.fingerprint < other.fingerprint ? -1 : 1;
};
