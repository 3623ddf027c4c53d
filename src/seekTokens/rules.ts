import { fingerprintOf as fingerprintOfText } from '../runtime/tokenCipher.ts';
import {
  APPLICATION_TOKENS_VERSION,
  type ApplicationTokens,
  type CandidateApplicationProfile,
  type StoredToken,
} from '../schemas/seekToken.ts';

// A candidate may apply again many times. `newestFirst` keeps the current token among those kept.
const MAX_TOKENS = 50;
const MAX_PAST_FINGERPRINTS = 1_000;

export const NO_TOKENS: ApplicationTokens = { version: APPLICATION_TOKENS_VERSION, tokens: [] };

/**
 * Adds a token to an application. Order-independent and idempotent: recording a known token again keeps
 * its earliest `receivedAt`, because a token's lifetime begins when SEEK creates it. A token that was
 * received before an erasure is not added.
 */
export const withToken = (known: ApplicationTokens, token: StoredToken): ApplicationTokens => {
  if (isErasedSince(known, token.receivedAt)) return known;
  const same = known.tokens.filter((each) => each.fingerprint === token.fingerprint);
  const others = known.tokens.filter((each) => each.fingerprint !== token.fingerprint);
  const all = [...others, same.reduce(merge, token)].sort(newestFirst);
  const { past, ...rest } = known;
  return {
    ...rest,
    tokens: all.slice(0, MAX_TOKENS),
    ...pastOf([...all.slice(MAX_TOKENS).map(fingerprintOf), ...(past ?? [])]),
  };
};

/**
 * What is stored, in the order and shape of this version. Version 1 stores tokens of Apply with SEEK first,
 * and one token twice if it arrived from two sources. After `tokensUntil`, of tokens only fingerprints stay.
 */
export const normalise = (stored: ApplicationTokens, now: number): ApplicationTokens => {
  const { tokens, past = [], ...rest } = stored;
  if (rest.tokensUntil !== undefined && Date.parse(rest.tokensUntil) <= now) {
    return { ...rest, tokens: [], ...pastOf([...tokens.map(fingerprintOf), ...past]) };
  }
  return { ...rest, tokens: tokens.reduce(withToken, NO_TOKENS).tokens, ...pastOf(past) };
};

export const isErasedSince = ({ erasedAt }: ApplicationTokens, receivedAt: string): boolean =>
  erasedAt !== undefined && Date.parse(receivedAt) <= Date.parse(erasedAt);

/**
 * Replaces the candidate application profile of an application; `undefined` removes it. The caller checks for
 * an erasure.
 */
export const withProfile = (
  { candidateApplicationProfile: replaced, past, ...known }: ApplicationTokens,
  profile: CandidateApplicationProfile | undefined,
): ApplicationTokens => ({
  ...known,
  ...(profile === undefined ? {} : { candidateApplicationProfile: profile }),
  // An erasure finds the signals that carry a replaced profile id, too.
  ...pastOf([
    ...(replaced === undefined || replaced.id === profile?.id
      ? []
      : [fingerprintOfText(replaced.id)]),
    ...(past ?? []),
  ]),
});

/** What stays of an erased application: enough to find the signals that carry its identifiers. */
export const withoutIdentifiers = (
  { tokens, candidateApplicationProfile: profile, past = [] }: ApplicationTokens,
  erasedAt: string,
): ApplicationTokens => ({
  ...NO_TOKENS,
  erasedAt,
  ...pastOf([
    ...tokens.map(fingerprintOf),
    ...(profile === undefined ? [] : [fingerprintOfText(profile.id)]),
    ...past,
  ]),
});

/**
 * Selects the token to send: the newest, whatever its source. The token of a candidate who returns
 * "should override any previous token" (developer.seek.com, "Send application complete signal" and
 * "Handle authorization"). A token received after `validSince` has not expired and takes precedence over
 * all expired ones.
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

/**
 * One token that was received twice: as old as its first arrival. "Not now" on SEEK's authorization page
 * returns the original token, which makes it no newer.
 */
const merge = (one: StoredToken, other: StoredToken): StoredToken => ({
  ...one,
  source: one.source === 'applyWithSeek' ? one.source : other.source,
  receivedAt:
    Date.parse(one.receivedAt) <= Date.parse(other.receivedAt) ? one.receivedAt : other.receivedAt,
});

const newestFirst = (one: StoredToken, other: StoredToken): number => {
  const difference = Date.parse(other.receivedAt) - Date.parse(one.receivedAt);
  if (difference !== 0) return difference;
  // The authorization step comes after the link-out of the same session.
  if (one.source !== other.source) return one.source === 'applyWithSeek' ? -1 : 1;
  // Received at the same instant: any order will do, as long as it is always the same one.
  return one.fingerprint < other.fingerprint ? -1 : 1;
};
