// JSON within JSON, a URL within HTML, …: how often a text is read, each time one layer deeper.
const LAYERS = 8;

// Backslashes are taken off whole runs at a time: JSON within JSON doubles them again and again.
const ENCODED = new RegExp(
  [
    '\\\\+(?:u([0-9a-f]{4})|([bfnrt])|)',
    '%[0-7][0-9a-f]|%[cd][0-9a-f]%[89ab][0-9a-f]|%e[0-9a-f](?:%[89ab][0-9a-f]){2}',
    '%f[0-7](?:%[89ab][0-9a-f]){3}|&#(\\d{1,9});|&#x([0-9a-f]{1,8});|&(amp|lt|gt|quot|apos);|\\+',
  ].join('|'),
  'gi',
);

const NAMED = new Map(
  Object.entries({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }).concat(
    Object.entries({ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }),
  ),
);

type Groups = readonly (string | undefined)[];

/** What an encoded character stands for. A form's `+` is a space. */
const meaning = ([all = '', unit, control, decimal, hex, entity]: Groups): string => {
  if (unit !== undefined) return String.fromCharCode(Number.parseInt(unit, 16));
  const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
  if (!Number.isNaN(point)) return point <= 0x10ffff ? String.fromCodePoint(point) : all;
  const name = control ?? entity;
  if (name !== undefined) return NAMED.get(name.toLowerCase()) ?? all;
  if (all === '+') return ' ';
  return all.startsWith('%') ? fromUrl(all) : '';
};

const fromUrl = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

type Decoded = {
  text: string;
  /** For each place in the text, its end included, where that is in the original. */
  places: Int32Array;
};

/** The text with every encoding taken off, in small letters, for servers change these as well. */
export const decode = (original: string): Decoded => {
  const places = new Int32Array(original.length + 1);
  for (let at = 0; at < places.length; at += 1) places[at] = at;
  let decoded: Decoded = { text: original, places };
  for (let layer = 0; layer < LAYERS && decoded.text.search(ENCODED) !== -1; layer += 1) {
    const { places } = decoded;
    const { text, places: inner } = decodeLayer(decoded.text);
    decoded = { text, places: inner.map((at) => places[at] ?? 0) };
  }
  const small = decoded.text.toLowerCase();
  // A few letters are longer when they are small, and would move all that follows.
  return small.length === decoded.text.length ? { ...decoded, text: small } : decoded;
};

const decodeLayer = (encoded: string): Decoded => {
  // No encoding is shorter than what it stands for.
  const places = new Int32Array(encoded.length + 1);
  const read: string[] = [];
  let length = 0;
  let end = 0;
  // What stands for nothing belongs to what follows it, as a backslash does.
  let begin = 0;
  const keepUntil = (to: number) => {
    read.push(encoded.slice(end, to));
    for (; end < to; end += 1) {
      places[length++] = begin;
      begin = end + 1;
    }
  };
  for (const match of encoded.matchAll(ENCODED)) {
    keepUntil(match.index);
    const plain = meaning(match);
    read.push(plain);
    places.fill(begin, length, length + plain.length);
    length += plain.length;
    end = match.index + match[0].length;
    if (plain !== '') begin = end;
  }
  keepUntil(encoded.length);
  places[length] = encoded.length;

  return { text: read.join(''), places: places.subarray(0, length + 1) };
};
