import fc from 'fast-check';
import { redact, redactBody, redactValue } from '../../src/observability/redact.ts';
import { exactText } from '../support/arbitraries.ts';
import { SLACK_MS } from '../support/inTime.ts';

const json = (text: string) => JSON.stringify(text).slice(1, -1);
const jsonUnits = (text: string) =>
  Array.from(
    { length: text.length },
    (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('');
const url = (text: string) => encodeURIComponent(text);
const urlSmall = (text: string) =>
  encodeURIComponent(text).replace(/%../g, (hex) => hex.toLowerCase());
const urlWhole = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const form = (text: string) => new URLSearchParams({ a: text }).toString().slice(2);
const urlReserved = (text: string) => encodeURI(text);
// As Go and PHP write JSON.
const jsonMarkup = (text: string) =>
  json(text)
    .replace(/[<>&']/g, (character) => jsonUnits(character))
    .replaceAll('/', '\\/');
const jsonAscii = (text: string) =>
  json(text).replace(/[^\0-\x7f]/g, (character) => jsonUnits(character));
const base64 = (text: string) => Buffer.from(text).toString('base64');
const base64Url = (text: string) => Buffer.from(text).toString('base64url');

const SPELLINGS = {
  plain: (text: string) => text,
  json,
  jsonMarkup,
  jsonAscii,
  jsonUnits,
  jsonTwice: (text: string) => json(json(text)),
  jsonThrice: (text: string) => json(json(json(text))),
  url,
  urlSmall,
  urlReserved,
  urlWhole,
  form,
  urlInJson: (text: string) => json(url(text)),
};

// Characters that an encoding changes, and parts of encodings.
const nasty = fc.string({
  unit: fc.constantFrom(...'ab0Z+ %&;#"\'\\/<>\n\tü😀', 'u00', '%25', '&amp;', '\\n', '\\u0041'),
  minLength: 8,
  maxLength: 60,
});
// SEEK's tokens are longer than this, and have no white space around them.
const secret = fc
  .oneof(nasty, exactText)
  .filter((made) => made.length >= 8 && !/^\s|\s$/u.test(made) && /[^\\]{4}/u.test(made));

// Backslashes at the end of a secret may stay behind. They reveal nothing.
const LEFT = '(?:\\\\+(?:u005c)?|%5c)*';

describe('a secret', () => {
  it.each(Object.entries(SPELLINGS))('is masked in this encoding: %s', (_, spell) => {
    fc.assert(
      fc.property(secret, (made) => {
        const masked = redact(`(${spell(made)})`, ['partner-token-1', made]);

        expect(masked).toMatch(new RegExp(`^\\(\\[masked\\]${LEFT}\\)$`, 'i'));
      }),
    );
  });

  it('is masked in keys and values at every depth, in a value and in a JSON body', () => {
    fc.assert(
      fc.property(secret, (made) => {
        const body = {
          [made]: [{ message: `<${made}>`, more: { [`(${url(made)})`]: json(made) } }],
        };

        for (const text of [
          JSON.stringify(redactValue(body, [made])),
          redactBody(JSON.stringify(body), [made]),
        ]) {
          expect(text).toMatch(/^\{"\[masked\]\\*":\[\{"message":"<\[masked\]\\*>","more"/);
          expect(text).toMatch(/"more":\{"\(\[masked\](?:\\|%5c)*\)":"\[masked\]\\*"\}\}\]\}$/i);
        }
      }),
    );
  });

  it.each([
    ['base64', base64],
    ['base64url', base64Url],
  ])('of twelve bytes or more is masked in %s', (_, spell) => {
    fc.assert(
      fc.property(
        secret.filter((made) => Buffer.byteLength(made) >= 12),
        (made) => {
          expect(redact(`(${spell(made)})`, [made])).toMatch(/^\(\[masked\]=*\)$/);
        },
      ),
    );
  });

  it('is masked where only twelve of its characters appear', () => {
    const long = fc.stringMatching(/^[A-Za-z0-9_-]{24,80}$/);

    fc.assert(
      fc.property(long, fc.nat(80), (made, pick) => {
        const at = pick % (made.length - 12);

        expect(redact(`(${made.slice(at, at + 12)}…)`, [made])).toBe('([masked]…)');
      }),
    );
  });
});

describe('a text without a secret', () => {
  it('is returned unchanged', () => {
    const words = fc.string({ unit: fc.constantFrom(...'abc +%&;\\"u0'), maxLength: 200 });

    fc.assert(
      fc.property(words, (made) => {
        expect(redact(made, ['XYZ-partner-token', 'QRS-seek-token'])).toBe(made);
      }),
    );
  });
});

describe('a text designed to make the search slow', () => {
  const MIB = 1024 * 1024;

  it.each([
    ['backslashes', '\\', '\\'.repeat(400)],
    ['one letter', 'a', 'a'.repeat(400)],
    ['percent signs', '%25', '%25'.repeat(130)],
    ['ampersands', '&amp;', '&amp;'.repeat(100)],
    ['units', '\\u005c', '\\u005c'.repeat(60)],
  ])('is redacted in time when the token is of the same characters: %s', (_, unit, token) => {
    const text = unit.repeat(MIB / unit.length);
    const began = performance.now();

    redact(text, [`${token}b`, 'partner-token-1']);

    expect(performance.now() - began).toBeLessThan(SLACK_MS);
  });
});
