import { type ApplyUrl, readSeekToken } from '../../src/producer/readSeekToken.ts';

describe('readSeekToken', () => {
  it.each([
    ['plain', 'seek-token=abc', 'abc'],
    ['with a plus that was not encoded', 'seek-token=a+b', 'a+b'],
    ['with an encoded plus', 'seek-token=a%2Bb', 'a+b'],
    ['with an encoded percent sign, decoded once', 'seek-token=a%252Bb', 'a%2Bb'],
    ['with a percent sign that encodes nothing', 'seek-token=100%', '100%'],
    ['with bytes that are not UTF-8', 'seek-token=%FF', '%FF'],
    ['with its own equals signs', 'seek-token=eyJhIjowfQ==', 'eyJhIjowfQ=='],
    ['with encoded equals signs', 'seek-token=eyJhIjowfQ%3D%3D', 'eyJhIjowfQ=='],
    ['with an encoded space, ampersand and hash', 'seek-token=%20a%26b%23', ' a&b#'],
    ['with a slash and a question mark', 'seek-token=a/b?c', 'a/b?c'],
    ['among other parameters', 'a=1&seek-token=abc&b=2', 'abc'],
    ['under a name that is encoded', 'seek%2Dtoken=abc', 'abc'],
    ['after another one', 'seek-token=old&x=1&seek-token=new', 'new'],
    ['followed by an empty one', 'seek-token=old&seek-token=', 'old'],
  ])('token %s: %s → %s', (_, query, token) => {
    expect(readSeekToken(`https://example.com/apply?${query}`)?.token).toBe(token);
  });

  it.each([
    ['no query', 'https://example.com/apply'],
    ['another query', 'https://example.com/apply?token=abc'],
    ['a name that is longer', 'https://example.com/apply?x-seek-token=abc'],
    ['a name in capitals', 'https://example.com/apply?SEEK-TOKEN=abc'],
    ['an empty token', 'https://example.com/apply?seek-token='],
    ['a name without a value', 'https://example.com/apply?seek-token'],
    ['a token in the fragment', 'https://example.com/apply#?seek-token=abc'],
    ['a token in the path', '/seek-token=abc'],
    ['an empty string', ''],
  ])('%s → undefined', (_, url) => {
    expect(readSeekToken(url)).toBeUndefined();
  });

  it.each<[string, ApplyUrl]>([
    ['a URL', new URL('https://example.com/apply?seek-token=a+b%2B#top')],
    ['a path with a query', '/apply?seek-token=a+b%2B'],
    ['a request of Node', { url: '/apply?seek-token=a+b%2B' }],
    ['a request of Express, below a router', { url: '/', originalUrl: '/apply?seek-token=a+b%2B' }],
    ['a request of fetch', new Request('https://example.com/apply?seek-token=a+b%2B')],
  ])('%s → the token', (_, from) => {
    expect(readSeekToken(from)).toEqual({ token: 'a+b+', source: 'linkOut' });
  });

  it('token beside seek-prefill-id → source applyWithSeek', () => {
    const query = 'seek-prefill-id=globalPublicTest:candidateProfile:prefill:1&seek-token=new';

    expect(readSeekToken(`/apply?${query}`)).toEqual({ token: 'new', source: 'applyWithSeek' });
    // The ATS used the URL of the link-out as redirect URI.
    expect(readSeekToken(`/apply?seek-token=old&${query}`)).toEqual({
      token: 'new',
      source: 'applyWithSeek',
    });
  });
});
