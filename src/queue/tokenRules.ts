import type { ApplicationTokens, KeptToken } from '../schemas/seekToken.ts';

// A candidate who comes back often leaves a trail; what counts is never cut off it.
const MOST_KEPT = 50;
const MOST_ERASED_KEPT = 4 * MOST_KEPT;

export const NO_TOKENS: ApplicationTokens = { version: 1, tokens: [] };

/**
 * What is known of an application once a token has come in. In whatever order tokens come, and
 * however often, it comes to the same: one that comes again is as old as it was at first, for its life
 * began when SEEK made it.
 */
export const withToken = (
  { tokens, erased }: ApplicationTokens,
  token: KeptToken,
): ApplicationTokens => {
  const known = tokens.find((each) => isSame(each, token));
  const older = known !== undefined && !isNewer(known, token) ? known.receivedAt : token.receivedAt;
  const others = tokens.filter((each) => !isSame(each, token));
  const all = [...others, { ...token, receivedAt: older }].sort(byStanding);
  return { ...NO_TOKENS, tokens: all.slice(0, MOST_KEPT), ...(erased && { erased }) };
};

/** What is left of an application that is erased: enough to find the signals that hold its tokens. */
export const withoutTokens = (
  { tokens, erased = [] }: ApplicationTokens,
  erasedAt: string,
): ApplicationTokens & { erased: string[] } => {
  const all = new Set([...tokens.map(({ fingerprint }) => fingerprint), ...erased]);
  return { ...NO_TOKENS, erasedAt, erased: [...all].slice(0, MOST_ERASED_KEPT) };
};

/**
 * The token that counts. One of Apply with SEEK overrides those of the link-out, and among equals the
 * newest does (developer.seek.com, "Send application complete signal").
 */
export const currentOf = ({ tokens }: ApplicationTokens): KeptToken | undefined => tokens[0];

/** The one that counts among those received after `time`, where there is any. */
export const currentSince = (known: ApplicationTokens, time: number): KeptToken | undefined =>
  known.tokens.find(({ receivedAt }) => Date.parse(receivedAt) > time) ?? currentOf(known);

const isSame = (one: KeptToken, other: KeptToken): boolean =>
  one.fingerprint === other.fingerprint && one.source === other.source;

const isNewer = (one: KeptToken, other: KeptToken): boolean =>
  Date.parse(one.receivedAt) > Date.parse(other.receivedAt);

/** The one that counts first. */
const byStanding = (one: KeptToken, other: KeptToken): number => {
  if (one.source !== other.source) return one.source === 'applyWithSeek' ? -1 : 1;
  const later = Date.parse(other.receivedAt) - Date.parse(one.receivedAt);
  // Received at the same instant: whichever, but always the same one.
  return later === 0 ? (one.fingerprint < other.fingerprint ? -1 : 1) : later;
};
