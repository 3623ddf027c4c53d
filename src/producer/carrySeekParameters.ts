import { type ApplyUrl, queryOf, readSeekToken, textOf } from './readSeekToken.ts';

// developer.seek.com, "Apply with SEEK migration considerations": pages between the link-out and the apply
// form must carry both on.
const CARRIED = new Set(['seek-token', 'seek-prefill-id']);

/**
 * Adds SEEK's parameters of one URL to another, for redirects and links between the page a candidate
 * arrives at and the apply form. The values are copied as they are written, without decoding.
 *
 * @param from The URL or request that the candidate arrived with.
 * @param to The next URL: absolute, or a path such as `/apply/step-2?lang=en#form`.
 * @returns `to` with `seek-token` and `seek-prefill-id` of `from`. Those that `to` has already are replaced.
 *   If `from` has no seek token, `to` as it is.
 */
export const carrySeekParameters = (from: ApplyUrl, to: string | URL): string => {
  const target = to instanceof URL ? to.href : to;
  // Without a token there is nothing to replace that of the target with.
  if (readSeekToken(from) === undefined) return target;
  const carried = parametersOf(queryOf(textOf(from))).filter(isCarried);

  const [beforeFragment = '', ...fragment] = target.split('#');
  const [path = '', ...query] = beforeFragment.split('?');
  const kept = parametersOf(query.join('?')).filter((parameter) => !isCarried(parameter));
  const hash = fragment.length === 0 ? '' : `#${fragment.join('#')}`;
  return `${path}?${[...kept, ...carried].join('&')}${hash}`;
};

const parametersOf = (query: string): string[] => query.split('&').filter((text) => text !== '');

const isCarried = (parameter: string): boolean =>
  CARRIED.has(nameOf(parameter)) && !/^[^=]*=?$/.test(parameter);

const nameOf = (parameter: string): string => {
  const [name = ''] = parameter.split('=', 1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
};
