// Control characters, except line feed and tab, and the characters that change the direction of text.
const UNPRINTABLE = /(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;
const ESCAPE = '\u001b';
// The sequences that picocolors writes: they set a colour, or reset it.
const COLOUR = new RegExp(`(${ESCAPE}\\[3\\dm)`);

/**
 * Replaces control characters by `�`. Data from outside could otherwise clear the terminal, change its title,
 * or display a text that differs from the data.
 */
export const printable = (text: string): string =>
  text
    .split(COLOUR)
    .map((part, index) => (index % 2 === 1 ? part : part.replace(UNPRINTABLE, '\u{fffd}')))
    .join('');

/** JSON with the same characters escaped, so that a parser reads the original value. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
