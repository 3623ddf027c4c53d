import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';

import { hasCode } from '../../runtime/errors.ts';

/** The body cannot be decoded. The message contains nothing of the body. */
export class UndecodableError extends Error {
  override readonly name = 'UndecodableError';
}

// A server that applies one encoding and a proxy that applies another need two.
const MAX_ENCODINGS = 3;

type Decode = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const DECODERS = new Map<string, (bytes: Buffer) => Decode>([
  ['gzip', () => promisify(gunzip)],
  ['x-gzip', () => promisify(gunzip)],
  ['br', () => promisify(brotliDecompress)],
  // "deflate" means zlib's format (RFC 9110, section 8.4.1.2), but servers also send it without a header.
  ['deflate', (bytes) => promisify(isZlib(bytes) ? inflate : inflateRaw)],
]);

/**
 * Decodes a body by its `Content-Encoding`. Rejects with an `UndecodableError` if that fails or gives more
 * than `maxBytes`. undici's own interceptor is experimental, and passes on what it cannot decode.
 */
export const decodeBody = async (
  body: Buffer,
  contentEncoding: string | string[],
  maxBytes: number,
): Promise<Buffer> => {
  const encodings = [contentEncoding]
    .flat()
    .flatMap((header) => header.toLowerCase().split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity');
  if (encodings.length > MAX_ENCODINGS) {
    throw new UndecodableError(`more than ${MAX_ENCODINGS} content encodings`);
  }
  let bytes = body;
  // The encodings are listed in the order in which they were applied.
  for (const encoding of encodings.reverse()) {
    if (isPlain(bytes)) break;
    bytes = await decodeOnce(bytes, encoding, maxBytes);
  }
  return bytes;
};

const decodeOnce = async (bytes: Buffer, encoding: string, maxBytes: number): Promise<Buffer> => {
  const decode = DECODERS.get(encoding)?.(bytes);
  const name = `content encoding ${/^[a-z0-9-]{1,20}$/.test(encoding) ? encoding : 'unknown'}`;
  if (decode === undefined) throw new UndecodableError(`${name} is not supported`);
  try {
    return await decode(bytes, { maxOutputLength: maxBytes });
  } catch (cause) {
    const isTooLarge = hasCode(cause, 'ERR_BUFFER_TOO_LARGE');
    const problem = isTooLarge ? `decodes to more than ${maxBytes} bytes` : 'cannot be decoded';
    throw new UndecodableError(`${name} ${problem}`, { cause });
  }
};

const MAX_WHITE_SPACE = 64;

/** Whether the first two bytes are a zlib header (RFC 1950, section 2.2). */
const isZlib = (bytes: Buffer): boolean =>
  bytes.length >= 2 && (bytes.readUInt8(0) & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;

// No encoding of a JSON object begins like one. Proxies decode a body and leave its header, and servers
// name an encoding that is none, such as UTF-8.
const isPlain = (bytes: Buffer): boolean =>
  bytes.length === 0 ||
  /^(?:\xef\xbb\xbf)?[ \t\r\n]*\{/.test(bytes.toString('latin1', 0, MAX_WHITE_SPACE));
