import {
  APPLICATION_TOKENS_VERSION,
  type ApplicationTokens,
  type StoredToken,
} from '../schemas/seekToken.ts';

// A candidate who comes back often leaves a trail; what counts is never cut off it.
const MOST_KEPT = 50;
const MOST_PAST = 1_000;

export const NO_TOKENS: ApplicationTokens = { version: APPLICATION_TOKENS_VERSION, tokens: [] };

/**
 * What is known of an application once a token has come in. In whatever order tokens come, and
 * however often, it comes to the same: one that comes again is as old as it was at first, for its life
 * began when SEEK made it. One from before an erasure stays erased.
 */
export const withToken = (known: ApplicationTokens, token: StoredToken): ApplicationTokens => {
  if (isErasedSince(known, token)) return known;
  const same = known.tokens.find((each) => isSame(each, token));
  const receivedAt = same && !isNewer(same, token) ? same.receivedAt : token.receivedAt;
  const others = known.tokens.filter((each) => !isSame(each, token));
  const all = [...others, { ...token, receivedAt }].sort(byStanding);
  return {
    ...{ ...NO_TOKENS, tokens: all.slice(0, MOST_KEPT) },
    ...(known.erasedAt && { erasedAt: known.erasedAt }),
    ...pastOf([...all.slice(MOST_KEPT).map(fingerprintOf), ...(known.past ?? [])]),
  };
};

export const isErasedSince = (
  { erasedAt }: ApplicationTokens,
  { receivedAt }: StoredToken,
): boolean => erasedAt !== undefined && Date.parse(receivedAt) <= Date.parse(erasedAt);

/** What is left of an application that is erased: enough to find the signals that hold its tokens. */
export const withoutTokens = (known: ApplicationTokens, erasedAt: string): ApplicationTokens => ({
  ...{ ...NO_TOKENS, erasedAt },
  ...pastOf([...known.tokens.map(fingerprintOf), ...(known.past ?? [])]),
});

/**
 * The token that counts: one of Apply with SEEK overrides those of the link-out, and among equals the
 * newest does (developer.seek.com, "Send application complete signal"). Any that was received after
 * `livingSince`, and so has not expired, goes before those that have.
 */
export const currentToken = (
  known: ApplicationTokens,
  livingSince: number,
): StoredToken | undefined =>
  known.tokens.find(({ receivedAt }) => Date.parse(receivedAt) > livingSince) ?? known.tokens[0];

const fingerprintOf = ({ fingerprint }: StoredToken): string => fingerprint;

const pastOf = (fingerprints: string[]): { past?: string[] } =>
  fingerprints.length === 0 ? {} : { past: [...new Set(fingerprints)].slice(0, MOST_PAST) };

const isSame = (one: StoredToken, other: StoredToken): boolean =>
  one.fingerprint === other.fingerprint && one.source === other.source;

const isNewer = (one: StoredToken, other: StoredToken): boolean =>
  Date.parse(one.receivedAt) > Date.parse(other.receivedAt);

/** The one that counts first. */
const byStanding = (one: StoredToken, other: StoredToken): number => {
  if (one.source !== other.source) return one.source === 'applyWithSeek' ? -1 : 1;
  const later = Date.parse(other.receivedAt) - Date.parse(one.receivedAt);
  // Received at the same instant: whichever, but always the same one.
  return later === 0 ? (one.fingerprint < other.fingerprint ? -1 : 1) : later;
};
