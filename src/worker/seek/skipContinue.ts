import type { Socket } from 'node:net';
import { buildConnector, Pool } from 'undici';

// Node accepts no longer head either.
const MAX_HEAD_BYTES = 16_384;
const STARTS = ['HTTP/1.1 100 ', 'HTTP/1.0 100 '];
const START_LENGTH = 13;
const EMPTY = Buffer.alloc(0);

/**
 * A pool for one origin whose connections ignore the interim answer `100 Continue`. A client must ignore it
 * even if it did not ask for it (RFC 9110, section 15.2), but undici breaks the connection and has no option
 * for it. Pass it as the `factory` of an agent.
 */
export const createPool = (origin: string | URL, options: Pool.Options): Pool => {
  const { connect, connectTimeout } = options;
  const open =
    typeof connect === 'function'
      ? connect
      : buildConnector({ ...timeoutOf(connectTimeout), ...connect });
  return new Pool(origin, {
    ...options,
    connect: (target, callback) =>
      open(target, (...[err, socket]) =>
        err === null ? callback(null, skipContinue(socket)) : callback(err, null),
      ),
  });
};

const timeoutOf = (timeout: number | undefined) => (timeout === undefined ? {} : { timeout });

/** undici reads from a socket with `read` only. */
const skipContinue = <S extends Socket>(socket: S): S => {
  const read = socket.read.bind(socket);
  let written = 0;
  // From a request to the first byte of its final answer. One request is in flight at a time.
  let isHeadDue = false;
  let head: Buffer = EMPTY;

  return Object.assign(socket, {
    read: (size?: number): unknown => {
      const chunk: unknown = read(size);
      if (socket.bytesWritten !== written) {
        written = socket.bytesWritten;
        isHeadDue = true;
      }
      if (!isHeadDue || !Buffer.isBuffer(chunk)) return chunk;
      head = withoutContinue(head.length === 0 ? chunk : Buffer.concat([head, chunk]));
      if (isIncomplete(head)) return null;
      isHeadDue = false;
      const answer = head;
      head = EMPTY;
      return answer;
    },
  });
};

const startsWithContinue = (bytes: Buffer): boolean =>
  STARTS.includes(bytes.toString('latin1', 0, START_LENGTH));

/** Removes the complete interim answers at the start. */
const withoutContinue = (bytes: Buffer): Buffer => {
  let rest = bytes;
  while (startsWithContinue(rest)) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) break;
    rest = rest.subarray(end + 4);
  }
  return rest;
};

/** Whether these bytes may be the start of an interim answer. */
const isIncomplete = (bytes: Buffer): boolean =>
  bytes.length < START_LENGTH
    ? STARTS.some((start) => start.startsWith(bytes.toString('latin1')))
    : startsWithContinue(bytes) && bytes.length < MAX_HEAD_BYTES;
