import fc from 'fast-check';
import { scrub, scrubBody, scrubDeep } from '../src/scrub.ts';
import { exactText } from './support/arbitraries.ts';
import { SLACK_MS } from './support/inTime.ts';

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
const html = (text: string) =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
const points = (text: string, write: (point: number) => string) =>
  [...text].map((character) => `&#${write(character.codePointAt(0) ?? 0)};`).join('');
const htmlDecimal = (text: string) => points(text, String);
const htmlHex = (text: string) => points(text, (point) => `x${point.toString(16).toUpperCase()}`);

const SPELLINGS = {
  ...{ plain: (text: string) => text, json, jsonUnits, url, urlSmall, urlWhole, form },
  ...{ html, htmlDecimal, htmlHex },
  jsonTwice: (text: string) => json(json(text)),
  jsonThrice: (text: string) => json(json(json(text))),
  urlTwice: (text: string) => url(url(text)),
  urlInJson: (text: string) => json(url(text)),
  jsonInUrl: (text: string) => url(json(text)),
  htmlInJson: (text: string) => json(html(text)),
  jsonInHtml: (text: string) => html(json(text)),
  urlInHtml: (text: string) => html(form(text)),
};

// Such as look for trouble: all that an encoding changes, and what encodings are made of.
const nasty = fc.string({
  unit: fc.constantFrom(...'ab0Z+ %&;#"\'\\/<>\n\tü😀', 'u00', '%25', '&amp;', '\\n', '\\u0041'),
  minLength: 8,
  maxLength: 60,
});
// Any less, or white space around it, no token of SEEK's has: and a mask would hide whole words.
const secret = fc
  .oneof(nasty, exactText)
  .filter((made) => made.length >= 8 && !/^\s|\s$/u.test(made) && /[^\\]{4}/u.test(made));

// What backslashes at the end of a secret leave behind tells nothing.
const LEFT = '(?:\\\\+(?:u005c)?|%(?:25)*5c|&#(?:92|x5c);)*';

describe('a secret', () => {
  it.each(Object.entries(SPELLINGS))('is masked where it is spelled: %s', (_, spell) => {
    fc.assert(
      fc.property(secret, (made) => {
        const masked = scrub(`(${spell(made)})`, ['partner-token-1', made]);

        expect(masked).toMatch(new RegExp(`^\\(\\[masked\\]${LEFT}\\)$`, 'i'));
      }),
    );
  });

  it('is masked at every depth of an answer, in keys as in values, in JSON or not', () => {
    fc.assert(
      fc.property(secret, (made) => {
        const body = {
          [made]: [{ message: `<${made}>`, more: { [`(${url(made)})`]: json(made) } }],
        };

        for (const text of [
          JSON.stringify(scrubDeep(body, [made])),
          scrubBody(JSON.stringify(body), [made]),
        ]) {
          expect(text).toMatch(/^\{"\[masked\]\\*":\[\{"message":"<\[masked\]\\*>","more"/);
          expect(text).toMatch(/"more":\{"\(\[masked\](?:\\|%5c)*\)":"\[masked\]\\*"\}\}\]\}$/i);
        }
      }),
    );
  });

  it('is masked by any twelve characters of it', () => {
    const long = fc.stringMatching(/^[A-Za-z0-9_-]{24,80}$/);

    fc.assert(
      fc.property(long, fc.nat(80), (made, pick) => {
        const at = pick % (made.length - 12);

        expect(scrub(`(${made.slice(at, at + 12)}…)`, [made])).toBe('([masked]…)');
      }),
    );
  });
});

describe('a text without a secret', () => {
  it('is left as it is', () => {
    const words = fc.string({ unit: fc.constantFrom(...'abc +%&;\\"u0'), maxLength: 200 });

    fc.assert(
      fc.property(words, (made) => {
        expect(scrub(made, ['XYZ-partner-token', 'QRS-seek-token'])).toBe(made);
      }),
    );
  });
});

describe('a text made to be slow', () => {
  const MIB = 1024 * 1024;

  it.each([
    ['backslashes', '\\', '\\'.repeat(400)],
    ['one letter', 'a', 'a'.repeat(400)],
    ['percent signs', '%25', '%25'.repeat(130)],
    ['ampersands', '&amp;', '&amp;'.repeat(100)],
    ['units', '\\u005c', '\\u005c'.repeat(60)],
  ])('is scrubbed in a moment: %s, for a token of the same', (_, unit, token) => {
    const text = unit.repeat(MIB / unit.length);
    const began = performance.now();

    scrub(text, [`${token}b`, 'partner-token-1']);

    expect(performance.now() - began).toBeLessThan(SLACK_MS);
  });
});
