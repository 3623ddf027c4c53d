import type { TokenSource } from '../schemas/seekToken.ts';

/** The seek token of a URL. Pass it to `recordSeekToken` together with an `applicationId`. */
export type SeekTokenReading = {
  /** The token as SEEK made it. Sensitive: store it with the application, and never log it. */
  token: string;
  /** `applyWithSeek` if the URL also has `seek-prefill-id`, otherwise `linkOut`. */
  source: TokenSource;
};

/** An apply URL, absolute or relative, or a request of Node, Express, Fastify, Hono or `fetch`. */
export type ApplyUrl = string | URL | { url: string; originalUrl?: string | undefined };

const TOKEN = 'seek-token';
// SEEK adds it only after the candidate has authorised Apply with SEEK.
const PREFILL_ID = 'seek-prefill-id';

/**
 * Reads the seek token from the URL by which a candidate reached the ATS. Returns `undefined` if the URL
 * has none.
 *
 * The token is percent-decoded once, and `+` stays `+`: the query parsers of web frameworks turn it into a
 * space, and SEEK does not recognise that token. If the URL has several tokens, the last non-empty one
 * counts, because SEEK appends its own. Parameter names: developer.seek.com, "Handle authorization".
 */
export const readSeekToken = (from: ApplyUrl): SeekTokenReading | undefined => {
  const parameters = queryOf(textOf(from)).split('&').map(readParameter);
  const last = (wanted: string) =>
    parameters.findLast(({ name, value }) => name === wanted && value !== '')?.value;
  const token = last(TOKEN);
  if (token === undefined) return undefined;
  return { token, source: last(PREFILL_ID) === undefined ? 'linkOut' : 'applyWithSeek' };
};

// Express removes the mount path of a router from `url`; `originalUrl` is complete. Their queries are equal.
export const textOf = (from: ApplyUrl): string => {
  if (typeof from === 'string') return from;
  return from instanceof URL ? from.href : (from.originalUrl ?? from.url);
};

export const queryOf = (url: string): string => {
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

// Text that is not valid percent-encoding was not encoded, and stays as it is.
const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};
