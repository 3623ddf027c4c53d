import { decode } from './decode.ts';

const MASK = '[masked]';

// A message may cut a secret short: so many characters of one in a row go, too.
const PART = 12;
// More parts would be too many. What begins like a longer secret is masked to the end.
const LONGEST = 4_000;

type Scrub = (text: string) => string;

/** Where secrets stand in a text: from, to. */
type Spans = [number, number][];

/**
 * Masks every known secret in a text from outside, however it was encoded. Secret and text are
 * compared as they stand, and with every encoding taken off both. By plain search and no pattern: one
 * that allows for all spellings could be made to backtrack for hours, by whoever chooses the token.
 */
const createScrub = (secrets: readonly string[]): Scrub => {
  const asTheyStand = createSearch(secrets);
  const decoded = createSearch(secrets.map((secret) => decode(secret).text));

  return (text) => {
    const { text: plain, places } = decode(text);
    const spans: Spans = decoded(plain).map(([from, to]) => [places[from] ?? 0, places[to] ?? 0]);
    return (
      mask(text, [...asTheyStand(text), ...spans])
        // PostgreSQL keeps neither of these, and could then not keep the signal they are said of.
        .toWellFormed()
        .replaceAll('\0', '\u{fffd}')
    );
  };
};

const createSearch = (secrets: readonly string[]) => {
  const short = secrets.filter((secret) => secret !== '' && secret.length < PART);
  const parts = new Set<string>();
  const beginnings = new Set<string>();
  for (const secret of secrets) {
    const length = Math.min(secret.length, LONGEST);
    for (let at = 0; at + PART <= length; at += 1) parts.add(secret.slice(at, at + PART));
    if (secret.length > LONGEST) beginnings.add(secret.slice(length - PART, length));
  }

  return (text: string): Spans => {
    const spans = short.flatMap((secret) => occurrences(text, secret));
    if (parts.size === 0) return spans;
    for (let at = 0; at + PART <= text.length; at += 1) {
      const part = text.slice(at, at + PART);
      if (!parts.has(part)) continue;
      if (beginnings.has(part)) return [...spans, [at, text.length]];
      const last = spans.at(-1);
      if (last !== undefined && last[0] <= at && at <= last[1]) last[1] = at + PART;
      else spans.push([at, at + PART]);
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
  const kept: string[] = [];
  let end = 0;
  for (const [from, to] of spans.sort(([a], [b]) => a - b)) {
    if (to <= end) continue;
    if (from > end || end === 0) kept.push(text.slice(end, from), MASK);
    end = to;
  }
  return [...kept, text.slice(end)].join('');
};

/** A text from outside with every known secret in it masked. */
export const scrub = (text: string, secrets: readonly string[]): string =>
  createScrub(secrets)(text);

/** The same for many texts and one set of secrets. */
export const createDeepScrub = (secrets: readonly string[]) => {
  const scrubText = createScrub(secrets);
  return { text: scrubText, value: (value: unknown) => deep(value, scrubText, MAX_DEPTH) };
};

/** The same at every depth of a value. */
export const scrubDeep = (value: unknown, secrets: readonly string[]): unknown =>
  createDeepScrub(secrets).value(value);

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
