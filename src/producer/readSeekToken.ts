import type { TokenSource } from '../schemas/seekToken.ts';

/** A seek token as it came with a candidate: ready for `recordSeekToken`, beside an `applicationId`. */
export type SeekTokenReading = {
  /** Exactly as received. Sensitive: keep it with the draft and the application, out of logs. */
  token: string;
  /** `applyWithSeek` where the candidate has let SEEK pre-fill the form, which overrides `linkOut`. */
  source: TokenSource;
};

/** An apply URL, whole or from its path on; or what Node, Express, Fastify, Hono and `fetch` call a request. */
export type ApplyUrl = string | URL | { url: string; originalUrl?: string | undefined };

const TOKEN = 'seek-token';
// Comes back with the token once the candidate has authorised SEEK, and not otherwise.
const PREFILL_ID = 'seek-prefill-id';

/**
 * Reads the seek token off the URL that a candidate arrived at; `undefined` where there is none. The
 * token comes out as SEEK made it: percent-decoded once, and a `+` stays a `+`, which the query
 * parsers of web frameworks turn into a space. Where it stands there more than once, the last one
 * counts, for SEEK appends its own. Names: developer.seek.com, "Handle authorization".
 */
export const readSeekToken = (from: ApplyUrl): SeekTokenReading | undefined => {
  const parameters = queryOf(textOf(from)).split('&').map(readParameter);
  const last = (wanted: string) =>
    parameters.findLast(({ name, value }) => name === wanted && value !== '')?.value;
  const token = last(TOKEN);
  if (token === undefined) return undefined;
  return { token, source: last(PREFILL_ID) === undefined ? 'linkOut' : 'applyWithSeek' };
};

// Express shortens `url` by where a router is mounted; the query is the same in both.
const textOf = (from: ApplyUrl): string => {
  if (typeof from === 'string') return from;
  return from instanceof URL ? from.href : (from.originalUrl ?? from.url);
};

const queryOf = (url: string): string => {
  const [beforeFragment = ''] = url.split('#', 1);
  const start = beforeFragment.indexOf('?');
  return start === -1 ? '' : beforeFragment.slice(start + 1);
};

const readParameter = (text: string): { name: string; value: string } => {
  const end = text.indexOf('=');
  return end === -1
    ? { name: decode(text), value: '' }
    : { name: decode(text.slice(0, end)), value: decode(text.slice(end + 1)) };
};

// What is no percent-encoding was not encoded, and is taken as it stands.
const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};
