import fc from 'fast-check';

import { carrySeekParameters } from '../../src/producer/carrySeekParameters.ts';
import { readSeekToken } from '../../src/producer/readSeekToken.ts';

const FROM = 'https://ats.example/apply?job=7&seek-token=a%2Bb+c&seek-prefill-id=p%3D1';

describe('carrySeekParameters', () => {
  it.each([
    [
      'a path → both parameters appended',
      '/step-2',
      '/step-2?seek-token=a%2Bb+c&seek-prefill-id=p%3D1',
    ],
    [
      'a query and a fragment → both kept in place',
      '/step-2?lang=en#form',
      '/step-2?lang=en&seek-token=a%2Bb+c&seek-prefill-id=p%3D1#form',
    ],
    [
      'an older token in the target → replaced',
      'https://ats.example/step-2?seek-token=old&x=1&seek-prefill-id=old',
      'https://ats.example/step-2?x=1&seek-token=a%2Bb+c&seek-prefill-id=p%3D1',
    ],
    [
      'an empty query → no stray separator',
      '/step-2?',
      '/step-2?seek-token=a%2Bb+c&seek-prefill-id=p%3D1',
    ],
    [
      'a question mark inside the query → kept',
      '/step-2?next=/a?b=c',
      '/step-2?next=/a?b=c&seek-token=a%2Bb+c&seek-prefill-id=p%3D1',
    ],
  ])('target with %s', (_, to, expected) => {
    expect(carrySeekParameters(FROM, to)).toBe(expected);
  });

  it('request of Express → its original URL is read', () => {
    expect(carrySeekParameters({ url: '/', originalUrl: '/apply?seek-token=t' }, '/next')).toBe(
      '/next?seek-token=t',
    );
  });

  it('target as a URL → returned as text', () => {
    expect(carrySeekParameters('/apply?seek-token=t', new URL('https://ats.example/next'))).toBe(
      'https://ats.example/next?seek-token=t',
    );
  });

  it('source without SEEK parameters → target unchanged, its own token included', () => {
    expect(carrySeekParameters('/apply?job=7', '/next?seek-token=own&')).toBe(
      '/next?seek-token=own&',
    );
  });

  it.each(['/apply?seek-prefill-id=p', '/apply?seek-token=', '/apply?seek-token'])(
    'source without a token: %s → target keeps its own',
    (from) => {
      expect(carrySeekParameters(from, '/next?seek-token=own')).toBe('/next?seek-token=own');
    },
  );

  it('only the link-out token in the source → a prefill id in the target does not survive', () => {
    expect(carrySeekParameters('/apply?seek-token=t', '/next?seek-prefill-id=old')).toBe(
      '/next?seek-token=t',
    );
  });

  it('any token, over any number of pages → read as SEEK wrote it', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => text.isWellFormed()),
        fc.nat(4),
        (token, hops) => {
          let url = `https://ats.example/apply?a=1&seek-token=${encodeURIComponent(token)}`;
          for (let hop = 0; hop < hops; hop += 1)
            url = carrySeekParameters(url, `/page-${hop}?b=2#c`);

          expect(readSeekToken(url)).toEqual({ token, source: 'linkOut' });
        },
      ),
    );
  });
});
