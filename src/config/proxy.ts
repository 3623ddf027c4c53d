import type { Config } from './config.ts';

type Proxies = Pick<Config, 'HTTPS_PROXY' | 'HTTP_PROXY' | 'NO_PROXY'>;

/** The URL of the proxy for a request to `url`. `undefined`: the request needs no proxy. */
export const proxyFor = (
  { HTTPS_PROXY, HTTP_PROXY, NO_PROXY = '' }: Proxies,
  url: string,
): string | undefined => {
  const target = new URL(url);
  const isExempt = NO_PROXY.split(/[,\s]+/).some((entry) => entry !== '' && covers(entry, target));
  if (isExempt) return undefined;
  return target.protocol === 'https:' ? (HTTPS_PROXY ?? HTTP_PROXY) : HTTP_PROXY;
};

/** `host` covers its subdomains too, as `.host` and `*.host` do. With a port, it covers that port only. */
const covers = (entry: string, { protocol, hostname, port }: URL): boolean => {
  if (entry === '*') return true;
  // More than one colon and no brackets: an IPv6 address.
  const isAddress = /^[^[\]]*:[^[\]]*:[^[\]]*$/.test(entry);
  const [, named = entry, onPort] = isAddress ? [] : (/^(.+?)(?::(\d+))?$/.exec(entry) ?? []);
  if (onPort !== undefined && onPort !== (port || (protocol === 'https:' ? '443' : '80')))
    return false;
  const host = named.replace(/^\*?\.|^\[|\]$/g, '').toLowerCase();
  const target = hostname.replace(/^\[|\]$/g, '');
  return target === host || target.endsWith(`.${host}`);
};
