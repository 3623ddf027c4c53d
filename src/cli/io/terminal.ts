// C0 but for the ends of lines and tabs, DEL, C1, and what turns the direction of writing round.
const UNPRINTABLE = /(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;
const ESCAPE = '\u001b';
// Our own: a colour, and back.
const COLOUR = new RegExp(`(${ESCAPE}\\[3\\dm)`);

/** What others wrote may steer a terminal: clear it, rename it, or say what was not said. */
export const printable = (text: string): string =>
  text
    .split(COLOUR)
    .map((part, index) => (index % 2 === 1 ? part : part.replace(UNPRINTABLE, '\u{fffd}')))
    .join('');

/** The same for a program, to which each character is told as it is. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
