/**
 * The problems of a URL. Each continues a sentence that begins with the name of the setting. None quotes the
 * URL: a password that is not percent-encoded can be in any part of it.
 */
export type UrlProblems = readonly string[];

export const PERCENT_ENCODE =
  'must have its user name and password percent-encoded: / is %2F, ? is %3F, # is %23, @ is %40 and % is %25';
const NO_FRAGMENT = 'must have no fragment (#)';
const REDIS = 'must be a URL: redis://host:6379 or rediss://…';
const PROXY = 'must be a URL: http://host:port';

// No Redis has more databases than this has digits.
const DATABASE = /^(?:\/(?:0|[1-9]\d{0,8})?)?$/;
// ioredis would take any of its options, and some of them break the queue.
const PARAMETERS = new Map([
  ['family', /^[046]$/],
  ['sentinelUsername', /./],
  ['sentinelPassword', /./],
]);

/** Redis: `redis://[[user]:password@]host[:port][/database][?PARAMETERS]`, or `rediss://`. */
export const redisUrlProblems = (text: string): UrlProblems => {
  // ioredis uses TLS only if the scheme is in small letters.
  if (!/^rediss?:\/\//.test(text)) return [REDIS];
  if (hasMisplacedAt(text)) return [PERCENT_ENCODE];
  if (!URL.canParse(text)) return [REDIS];
  const url = new URL(text);
  const isKnown = [...url.searchParams].every(([name, value]) => PARAMETERS.get(name)?.test(value));
  return [
    ...hostProblems(url),
    ...credentialProblems(url, text),
    ...(DATABASE.test(url.pathname)
      ? []
      : ['must have a database number or nothing after the host']),
    ...(isKnown
      ? []
      : [
          'must have no parameters except family=4 or family=6, sentinelUsername and sentinelPassword',
        ]),
    ...(text.includes('#') ? [NO_FRAGMENT] : []),
  ];
};

/** An HTTP URL that a log may show, and so must hold no credentials. */
export const publicUrlProblems = (text: string, expected: string): UrlProblems => {
  if (!/^https?:\/\//i.test(text)) return [`must be a URL: ${expected}`];
  if (hasMisplacedAt(text) || authorityOf(text).includes('@')) return ['must hold no credentials'];
  if (!URL.canParse(text)) return [`must be a URL: ${expected}`];
  return [...hostProblems(new URL(text)), ...(text.includes('#') ? [NO_FRAGMENT] : [])];
};

/** Completes the address of a proxy: most programs also take `host:port`. */
export const completeProxyUrl = (text: string): string =>
  text.includes('://') ? text : `http://${text}`;

/** An HTTP proxy: `http://[user:password@]host:port`, or `https://`. */
export const proxyUrlProblems = (text: string): UrlProblems => {
  if (!/^https?:\/\//i.test(text)) return [PROXY];
  if (hasMisplacedAt(text)) return [PERCENT_ENCODE];
  if (!URL.canParse(text)) return [PROXY];
  const url = new URL(text);
  return [
    ...hostProblems(url),
    ...credentialProblems(url, text),
    ...(url.pathname === '/' && !/[?#]/.test(text) ? [] : ['must have nothing after the port']),
  ];
};

/** A URL as logs and messages show it: without credentials, parameters and fragment. */
export const describeUrl = (text: string): string => {
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host}${pathname}`;
};

/**
 * Whether an @ follows the host. Then a /, ? or # in the password ended what the parser took for the host, and
 * the rest of the password is in the path, the parameters or the fragment.
 */
const hasMisplacedAt = (text: string): boolean =>
  text.slice(text.indexOf('://') + 3 + authorityOf(text).length).includes('@');

const authorityOf = (text: string): string => /^[^:]+:\/\/([^/?#]*)/.exec(text)?.[1] ?? '';

const hostProblems = ({ hostname, port }: URL): UrlProblems => [
  ...(/^(?:[\w.-]+|\[[\da-f:.]+\])$/i.test(hostname) ? [] : ['must name a host']),
  ...(port === '0' ? ['must have a port from 1 to 65535'] : []),
];

const credentialProblems = ({ username, password }: URL, text: string): UrlProblems => {
  if (!authorityOf(text).includes('@')) return [];
  if (password === '') return ['must have a password before the @'];
  return isDecodable(username + password) ? [] : [PERCENT_ENCODE];
};

// Clients decode both parts, and throw on a percent sign that begins no escape.
const isDecodable = (text: string): boolean => {
  try {
    return decodeURIComponent(text) !== '';
  } catch {
    return false;
  }
};
