import { createHash } from 'node:crypto';

const MASK = '[masked]';

/**
 * A shorter text is no secret, but a part of ordinary words: masking it would make a message unreadable, and would
 * reveal it. `seek-signals check` warns of secrets that are shorter.
 */
export const MIN_SECRET_LENGTH = 8;

// A server may cut a secret short. Any run of this many of its characters is masked.
const MIN_RUN = 12;
// Bounds the number of runs to look for. Text from the start of a longer secret is masked to its end.
const MAX_SECRET = 4_000;
// Deeper than any genuine answer.
const MAX_DEPTH = 50;

type Redact = (text: string) => string;

/** The ranges of a text that contain secrets, as start and end. */
type Spans = [number, number][];

/** A text from outside with every known secret in it masked. */
export const redact = (text: string, secrets: readonly string[]): string =>
  createRedactText(secrets)(text);

/** Redacts many texts and values with one set of secrets. */
export const createRedactor = (secrets: readonly string[]) => {
  const redactText = createRedactText(secrets);
  return {
    text: redactText,
    value: (value: unknown) => redactDeep(value, redactText, MAX_DEPTH),
  };
};

/** Redacts the texts and the keys at every depth of a value. */
export const redactValue = (value: unknown, secrets: readonly string[]): unknown =>
  createRedactor(secrets).value(value);

/** Redacts a body. JSON is parsed first, so that no spelling of a character hides a secret. */
export const redactBody = (text: string, secrets: readonly string[]): string => {
  try {
    return JSON.stringify(redactValue(JSON.parse(text), secrets));
  } catch {
    return redact(text, secrets);
  }
};

/**
 * Masks secrets that are literal, URL-encoded, escaped in JSON or in base64, in capitals or not. A text
 * may encode some characters and not others. The search compares plain strings: a regular expression
 * per secret would backtrack for hours on a secret and a text that are chosen for it.
 */
const createRedactText = (secrets: readonly string[]): Redact => {
  const search = createSearch(secrets);

  return (text) => {
    const spans = search(fold(text));
    const { plain, toOriginal } = decode(text);
    if (plain !== text) {
      for (const [from, to] of search(fold(plain))) spans.push([toOriginal(from), toOriginal(to)]);
    }
    return (
      mask(text, spans)
        // PostgreSQL stores neither lone surrogates nor NUL, and would refuse the signal with them.
        .toWellFormed()
        .replaceAll('\0', '\u{fffd}')
    );
  };
};

// Servers change the case, and forms write `+` for a space. Keeps the length: İ alone would grow.
const fold = (text: string): string => text.replaceAll('İ', 'i').toLowerCase().replaceAll('+', ' ');

// Takes whole runs of backslashes, because JSON within JSON doubles them.
const ENCODED = new RegExp(
  [
    '\\\\+(?:u([0-9a-f]{4})|([bfnrt])|)|%([0-7][0-9a-f])',
    '%[cd][0-9a-f]%[89ab][0-9a-f]|%e[0-9a-f](?:%[89ab][0-9a-f]){2}|%f[0-7](?:%[89ab][0-9a-f]){3}',
  ].join('|'),
  'gi',
);

const CONTROLS = new Map(Object.entries({ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }));

type Match = readonly (string | undefined)[];

const decodeOne = ([encoded = '', unit, control, ascii]: Match): string => {
  const code = unit ?? ascii;
  if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
  if (control !== undefined) return CONTROLS.get(control.toLowerCase()) ?? encoded;
  if (encoded.startsWith('\\')) return '';
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
};

/** Removes one layer of URL encoding and of JSON escapes. */
const decode = (text: string) => {
  /** From `offsets[i]` on, the original text is `shifts[i]` characters ahead of the decoded text. */
  const offsets: number[] = [];
  const shifts: number[] = [];
  const parts: string[] = [];
  let end = 0;
  let shift = 0;
  // Not `replace` with a function: on a text full of escapes its garbage takes three times as long.
  for (const match of text.matchAll(ENCODED)) {
    const one = decodeOne(match);
    parts.push(text.slice(end, match.index), one);
    end = match.index + match[0].length;
    // A backslash belongs to the character that follows it.
    offsets.push(match.index - shift + Math.max(one.length, 1));
    shift += match[0].length - one.length;
    shifts.push(shift);
  }
  const plain = parts.join('') + text.slice(end);

  const toOriginal = (at: number): number => {
    let low = 0;
    let high = offsets.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((offsets[middle] ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return at + (shifts[low - 1] ?? 0);
  };
  return { plain, toOriginal };
};

/** Finds secrets in folded texts. */
const createSearch = (secrets: readonly string[]) => {
  const short = new Set<string>();
  /** For each run, how many characters are masked from its start. */
  const runs = new Map<string, number>();
  const addRuns = (secret: string) => {
    const length = Math.min(secret.length, MAX_SECRET);
    if (length > 0 && length < MIN_RUN) short.add(secret);
    for (let at = 0; at + MIN_RUN <= length; at += 1) {
      const run = secret.slice(at, at + MIN_RUN);
      if (!runs.has(run)) runs.set(run, MIN_RUN);
    }
    if (secret.length > MAX_SECRET) runs.set(secret.slice(length - MIN_RUN, length), Infinity);
  };
  // In base64, only the start of a secret is found: further runs would double the cost.
  const addStart = (base64: string) => {
    const run = fold(base64.slice(0, MIN_RUN));
    runs.set(run, Math.max(base64.length, runs.get(run) ?? 0));
  };
  for (const secret of new Set(secrets)) {
    if (secret.length < MIN_SECRET_LENGTH) continue;
    addRuns(fold(secret));
    // The text is decoded before the search. That also decodes a secret that contains `%2F`.
    const { plain } = decode(secret);
    if (plain !== secret) addRuns(fold(plain));
    const bytes = Buffer.from(secret);
    // A shorter one is likely to be part of a word.
    if (bytes.length < MIN_RUN) continue;
    addStart(bytes.toString('base64').replace(/=+$/, ''));
    addStart(bytes.toString('base64url'));
  }

  return (text: string): Spans => {
    const spans = [...short].flatMap((secret) => occurrences(text, secret));
    if (runs.size === 0) return spans;
    for (let at = 0; at + MIN_RUN <= text.length; at += 1) {
      const length = runs.get(text.slice(at, at + MIN_RUN));
      if (length === undefined) continue;
      const to = Math.min(at + length, text.length);
      const last = spans.at(-1);
      if (last !== undefined && last[0] <= at && at <= last[1]) last[1] = Math.max(last[1], to);
      else spans.push([at, to]);
      if (to === text.length) break;
    }
    return spans;
  };
};

const occurrences = (text: string, secret: string): Spans => {
  const spans: Spans = [];
  for (let at = text.indexOf(secret); at !== -1; at = text.indexOf(secret, at + secret.length)) {
    spans.push([at, at + secret.length]);
  }
  return spans;
};

const mask = (text: string, spans: Spans): string => {
  const parts: string[] = [];
  let end = 0;
  for (const [from, to] of spans.sort(([a], [b]) => a - b)) {
    if (to <= end) continue;
    if (from > end || end === 0) parts.push(text.slice(end, from), MASK);
    end = to;
  }
  return [...parts, text.slice(end)].join('');
};

const redactDeep = (value: unknown, redactText: Redact, depth: number): unknown => {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return MASK;
  if (Array.isArray(value)) return value.map((item) => redactDeep(item, redactText, depth - 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      redactText(key),
      redactDeep(inner, redactText, depth - 1),
    ]),
  );
};

/**
 * Describes a token so that "/input/token: Is not valid" can be investigated without the token: its length,
 * the start of its SHA-256, and the characters in it that a faulty URL encoding or trim would change.
 */
export const maskToken = (token: string): string => {
  const digest = createHash('sha256').update(token).digest('hex').slice(0, 8);
  const unusual = [
    ...(/\s/u.test(token) ? ['white space'] : []),
    ...['%', '+'].filter((character) => token.includes(character)),
  ];
  return `[token: length ${token.length}, sha256 ${digest}${
    unusual.length > 0 ? `, holds ${unusual.join(' and ')}` : ''
  }]`;
};

export const isMaskedToken = (text: string): boolean =>
  /^\[token: length \d+, sha256 [0-9a-f]{8}(?:, holds [a-z%+ ]+)?\]$/.test(text);

// The fields of a signal that are not secret, and their format. Any other value may be a token under a
// mistyped or wrong name.
const IDENTIFIER = /^[A-Za-z]+(?::[A-Za-z0-9_-]+){2,}$/;
const SHOWN = new Map<string, RegExp>([
  ['typeCode', /^[A-Za-z]{1,40}$/],
  ['timestamp', /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/],
  ['candidateApplicationProfileId', IDENTIFIER],
  ['positionProfileIds', IDENTIFIER],
  ['label', /^/],
  ['query', /^/],
]);

/** Prepares a body for the log: masks every string that is not known to be harmless. */
export const maskBody = (body: unknown, name = ''): unknown => {
  if (typeof body === 'string') return SHOWN.get(name)?.test(body) ? body : maskToken(body);
  if (Array.isArray(body)) return body.map((item) => maskBody(item, name));
  if (typeof body !== 'object' || body === null) return body;
  return Object.fromEntries(
    Object.entries(body).map(([key, value]) => [key, maskBody(value, key)]),
  );
};
