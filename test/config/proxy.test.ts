import { proxyFor } from '../../src/config/proxy.ts';

const SECURE = 'http://secure:3128';
const PLAIN = 'http://plain:3128';
const HTTPS = 'https://graphql.seek.com/graphql';
const HTTP = 'http://simulator:3002/graphql';

describe('proxyFor', () => {
  it.each([
    [{}, HTTPS, undefined],
    [{ HTTPS_PROXY: SECURE }, HTTPS, SECURE],
    [{ HTTPS_PROXY: SECURE, HTTP_PROXY: PLAIN }, HTTPS, SECURE],
    [{ HTTPS_PROXY: SECURE, HTTP_PROXY: PLAIN }, HTTP, PLAIN],
    [{ HTTP_PROXY: PLAIN }, HTTPS, PLAIN],
    [{ HTTPS_PROXY: SECURE }, HTTP, undefined],
  ])('%j, %s → %s', (proxies, url, proxy) => {
    expect(proxyFor(proxies, url)).toBe(proxy);
  });

  it.each([
    ['', HTTPS, true],
    [' , ', HTTPS, true],
    ['*', HTTPS, false],
    ['localhost, *', HTTPS, false],
    ['seek.com', HTTPS, false],
    ['.seek.com', HTTPS, false],
    ['*.seek.com', HTTPS, false],
    ['GraphQL.SEEK.com', HTTPS, false],
    ['localhost graphql.seek.com', HTTPS, false],
    ['graphql.seek.com:443', HTTPS, false],
    ['graphql.seek.com:8443', HTTPS, true],
    ['simulator:3002', HTTP, false],
    ['ek.com', HTTPS, true],
    ['auth.seek.com', HTTPS, true],
    ['10.0.0.0/8', HTTPS, true],
    ['127.0.0.1', 'http://127.0.0.1:3002/', false],
    ['::1', 'http://[::1]:3002/', false],
    ['[::1]', 'http://[::1]:3002/', false],
    ['[::1]:3002', 'http://[::1]:3002/', false],
    ['[::1]:3003', 'http://[::1]:3002/', true],
  ])('NO_PROXY %j, %s → uses the proxy: %s', (noProxy, url, isProxied) => {
    const config = { HTTPS_PROXY: SECURE, HTTP_PROXY: SECURE, NO_PROXY: noProxy };

    expect(proxyFor(config, url)).toBe(isProxied ? SECURE : undefined);
  });
});
