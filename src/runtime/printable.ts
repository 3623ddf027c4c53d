// Control characters, line separators, and characters that change the direction of text or are invisible tags.
const UNPRINTABLE =
  /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;
const REPLACEMENT = '\u{fffd}';
const LINE_BREAK_OR_TAB = /[\n\t]/;
const WHITE_SPACE = /[\n\r\t\u0085\u2028\u2029]+/g;

/**
 * Replaces control characters by `�`, except line feed and tab. Text from outside could otherwise clear the
 * terminal, change its title, imitate our colours, or display a text that differs from the data.
 */
export const printable = (text: string): string =>
  text.replace(UNPRINTABLE, (character) =>
    LINE_BREAK_OR_TAB.test(character) ? character : REPLACEMENT,
  );

/** Does the same, on one line: with a line break, text from outside could imitate a line of ours. */
export const printableLine = (text: string): string => printable(text.replace(WHITE_SPACE, ' '));

/** Cleans every text and every key at every depth of a value. */
export const printableValue = (
  value: unknown,
  clean: (text: string) => string = printableLine,
): unknown => {
  if (typeof value === 'string') return clean(value);
  if (Array.isArray(value)) return value.map((item) => printableValue(item, clean));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [clean(key), printableValue(inner, clean)]),
  );
};

/** JSON with the same characters escaped, so that a parser reads the original value. */
export const printableJson = (value: unknown): string => escapeUnprintable(JSON.stringify(value));

/** Escapes the same characters in a text that is JSON. */
export const escapeUnprintable = (json: string): string =>
  json.replace(UNPRINTABLE, (character) =>
    // A character beyond 16 bits is escaped as its two surrogates.
    Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  );
