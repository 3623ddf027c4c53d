const LINE_BREAK = /[\n\v\f\r\u0085\u2028\u2029]/;
// No key types these characters. Joiners are missing here, because emoji and some scripts need them.
const INVISIBLE = /[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/;
// Docker's --env-file keeps quotes; editors make them typographic.
const ENCLOSED = /^(?:(["'`]).*\1|\u201c.*\u201d|\u2018.*\u2019|["'`])$/su;

/**
 * What no setting can be meant to hold. Continues a sentence that begins with the setting's name, and never
 * quotes the text, which may be a secret. `undefined`: nothing is wrong.
 */
export const textProblem = (text: string): string | undefined => {
  if (LINE_BREAK.test(text)) return 'must not hold a line break';
  if (/\p{Cc}/u.test(text)) return 'must not hold a control character';
  const [invisible] = INVISIBLE.exec(text) ?? [];
  if (invisible !== undefined) return `must not hold the invisible character ${nameOf(invisible)}`;
  if (text.includes('\ufffd')) return 'must be UTF-8';
  if (/^\s|\s$/.test(text)) return 'must not begin or end with white space';
  return ENCLOSED.test(text) ? 'must not be enclosed in quotes: remove them' : undefined;
};

const nameOf = (character: string): string =>
  `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;

/** The same for the prefix of all keys in Redis, which every process must spell alike. */
export const prefixProblem = (text: string): string | undefined => {
  const problem = identifierProblem(text);
  if (problem !== undefined) return problem;
  if (!/^[\x21-\x7e]+$/.test(text)) return 'must hold ASCII characters only';
  if (/[\\$<>*?[\]]/.test(text)) return 'must hold none of \\ $ < > * ? [ ]';
  return text.includes('{}') ? 'must name a hash tag between the braces' : undefined;
};

/** The same for a name that other programs compare or send: a copying mistake leaves quotes or spaces in it. */
export const identifierProblem = (text: string): string | undefined => {
  if (text === '') return 'must not be empty';
  return (
    textProblem(text) ??
    (/[\s"'`]/.test(text) ? 'must hold no white space and no quotes' : undefined)
  );
};
