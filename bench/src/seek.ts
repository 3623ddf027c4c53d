import { createServer, type Socket } from 'node:net';
import { clock } from './payload.js';

/**
 * A stand-in for SEEK in a process of its own: `seek LATENCY_MS`. It parses as little HTTP as possible, so
 * that it is not the bottleneck. It answers every request alike, and reports the signals to its parent.
 */
const latencyMs = Number(process.argv[2] ?? 0);

export type ToSeek = { watch: number[] } | { timed: boolean };
export type FromSeek =
  | { listening: number }
  /** This many signals have arrived. */
  | { reached: number; at: number }
  /** Milliseconds from the creation of each signal to its answer. */
  | { latencies: number[] };

const TOKEN = { access_token: 'bench-partner-token', token_type: 'Bearer', expires_in: 86_400 };
const httpResponse = (body: object): string => {
  const text = JSON.stringify(body);
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
};
const ANSWERS = {
  token: httpResponse(TOKEN),
  one: httpResponse({ data: { sendSignal: true } }),
  many: httpResponse({ data: { sendSignals: true } }),
};

const sendToParent = (message: FromSeek): void => {
  process.send?.(message);
};

let signals = 0;
let watched: number[] = [];
let latencies: number[] | undefined;

const count = (arrived: number): void => {
  signals += arrived;
  while (watched[0] !== undefined && signals >= watched[0]) {
    sendToParent({ reached: watched.shift() ?? 0, at: clock() });
  }
};

const respond = (socket: Socket, answer: string, body: Buffer): void => {
  const send = () => {
    if (socket.writable) socket.write(answer);
    if (latencies === undefined) return;
    for (const [, at] of body.toString('latin1').matchAll(/\.at=([\d.]+)=/g)) {
      latencies.push(clock() - Number(at));
    }
  };
  if (latencyMs > 0) setTimeout(send, latencyMs);
  else send();
};

const TYPE_CODE = '"typeCode"';
const countSignals = (body: Buffer): number => {
  let found = 0;
  for (let at = body.indexOf(TYPE_CODE); at >= 0; at = body.indexOf(TYPE_CODE, at + 1)) found += 1;
  return found;
};

const handleRequest = (socket: Socket, head: string, body: Buffer): void => {
  if (head.startsWith('POST /oauth')) {
    socket.write(ANSWERS.token);
    return;
  }
  count(countSignals(body));
  respond(socket, body.includes('sendSignals') ? ANSWERS.many : ANSWERS.one, body);
};

const server = createServer({ noDelay: true }, (socket) => {
  let buffer: Buffer = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
    for (;;) {
      const end = buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = buffer.toString('latin1', 0, end);
      const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      const next = end + 4 + length;
      if (buffer.length < next) return;
      handleRequest(socket, head, buffer.subarray(end + 4, next));
      buffer = buffer.subarray(next);
    }
  });
});

process.on('message', (message: ToSeek) => {
  if ('watch' in message) {
    signals = 0;
    watched = message.watch;
  } else if (message.timed) {
    latencies = [];
  } else {
    sendToParent({ latencies: latencies ?? [] });
    latencies = undefined;
  }
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') sendToParent({ listening: address.port });
});
process.on('disconnect', () => process.exit());
