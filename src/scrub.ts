const MASK = '[masked]';

type Scrub = (text: string) => string;

/** Masks every known secret in a text from outside, however it was encoded. */
const createScrub = (secrets: readonly string[]): Scrub => {
  // The longest first, so that no part of one is left standing by the masking of another.
  const patterns = secrets
    .filter((secret) => secret !== '')
    .sort((a, b) => b.length - a.length)
    .map(anySpelling);

  return (text) =>
    maskParts(
      patterns.reduce((clean, pattern) => clean.replace(pattern, MASK), text),
      secrets,
    )
      // PostgreSQL keeps neither of these, and could then not keep the signal they are said of.
      .toWellFormed()
      .replaceAll('\0', '\u{fffd}');
};

const PART = 12;

/** A message may cut a token short: any twelve characters in a row that are a secret's go, too. */
const maskParts = (text: string, secrets: readonly string[]): string => {
  const parts = new Set(
    secrets.flatMap((secret) =>
      Array.from({ length: Math.max(0, Math.min(secret.length, 2_000) - PART + 1) }, (_, at) =>
        secret.slice(at, at + PART),
      ),
    ),
  );
  if (parts.size === 0) return text;
  let clean = '';
  for (let at = 0; at < text.length; ) {
    let end = at;
    while (parts.has(text.slice(end, end + PART))) end += 1;
    if (end === at) {
      clean += text[at];
      at += 1;
    } else {
      clean += MASK;
      at = end + PART - 1;
    }
  }
  return clean;
};

const ENTITIES: Record<string, string> = {
  '&': 'amp',
  '<': 'lt',
  '>': 'gt',
  '"': 'quot',
  "'": 'apos',
};

// Beyond this a pattern would be too large. What begins like a longer secret is masked to the end.
const LONGEST_PATTERN = 500;

// JSON within JSON doubles the backslashes. Bounded, for a text may be made of nothing else.
const ESCAPES = '\\\\{0,8}';

/** Each character as itself, or as JSON (nested, too), a URL, a form or HTML would spell it. */
const anySpelling = (secret: string): RegExp => {
  const characters = [...secret];
  const pattern = characters.slice(0, LONGEST_PATTERN).map(spellings).join('');
  return new RegExp(characters.length > LONGEST_PATTERN ? `${pattern}[^]*` : pattern, 'giu');
};

const spellings = (character: string): string => {
  const hex = (unit: number, length: number) => unit.toString(16).padStart(length, '0');
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  const point = character.codePointAt(0) ?? 0;
  const ways = [
    character.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&'),
    units.map((unit) => `u${hex(unit, 4)}`).join(ESCAPES),
    [...Buffer.from(character)].map((byte) => `%${hex(byte, 2)}`).join(''),
    `&#(?:${point}|x0*${point.toString(16)});`,
    ...(ENTITIES[character] === undefined ? [] : [`&${ENTITIES[character]};`]),
    ...(character === ' ' ? ['\\+'] : []),
  ];
  return `${ESCAPES}(?:${ways.join('|')})`;
};

/** A text from outside with every known secret in it masked. */
export const scrub = (text: string, secrets: readonly string[]): string =>
  createScrub(secrets)(text);

/** The same at every depth of a value. */
export const scrubDeep = (value: unknown, secrets: readonly string[]): unknown =>
  deep(value, createScrub(secrets), MAX_DEPTH);

// Deeper than any answer that is meant to be read.
const MAX_DEPTH = 50;

const deep = (value: unknown, scrubText: Scrub, depth: number): unknown => {
  if (typeof value === 'string') return scrubText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return MASK;
  if (Array.isArray(value)) return value.map((item) => deep(item, scrubText, depth - 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      scrubText(key),
      deep(inner, scrubText, depth - 1),
    ]),
  );
};

/** The same for a body: read as JSON where it is JSON, so that no way of writing hides a secret. */
export const scrubBody = (text: string, secrets: readonly string[]): string => {
  try {
    return JSON.stringify(scrubDeep(JSON.parse(text), secrets));
  } catch {
    return scrub(text, secrets);
  }
};
