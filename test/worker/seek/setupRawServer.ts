import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { classify, type SendResult } from '../../../src/worker/seek/classify.ts';
import { createHttp } from '../../../src/worker/seek/http.ts';
import { createPartnerToken } from '../../../src/worker/seek/partnerToken.ts';
import { createSeekClient } from '../../../src/worker/seek/seekClient.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import { SLACK_MS } from '../../support/inTime.ts';

export const MIB = 1024 * 1024;
const TIMEOUT_MS = 2_000;
const TOKEN = 'seek-token+%2F/1';

/** What the server does with a socket on which a whole request has arrived. */
export type Reply = (socket: Socket, request: string) => void | Promise<void>;

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** Our client and a raw server, which can break every rule of HTTP. */
export const setup = async (reply: Reply, { timeoutMs = TIMEOUT_MS, logBodies = false } = {}) => {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
      const body = text.indexOf('\r\n\r\n') + 4;
      if (text.length < body + length) return;
      const request = text;
      text = '';
      requests.push(request);
      void reply(socket, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const http = createHttp({ timeoutMs, connections: 2 });
  open.push(http.close, async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = `http://127.0.0.1:${port}/`;
  const logs = captureLogs();
  const client = createSeekClient({
    http,
    apiUrl: url,
    userAgent: 'test/1.2.3',
    secrets: () => [],
    logger: logs.logger,
    logBodies,
  });
  const partnerToken = createPartnerToken({
    http,
    authUrl: url,
    audience: 'a',
    userAgent: 'test/1',
    credentials: () => ({ clientId: 'c', clientSecret: 's' }),
  });
  const send = async (count = 1, token = TOKEN): Promise<SendResult> =>
    client({
      signals: Array.from({ length: count }, () => acceptedBySeek(buildSignal({ token }))),
      partnerToken: 'partner-token-1',
      requestId: '6f1c2a52-3b53-4dc1-9d53-0c7f0a0b6a01',
    });

  return { send, getToken: partnerToken.get, requests, logs };
};

export const httpAnswer = (
  body: string | Buffer,
  { status = '200 OK', headers = '' } = {},
): Buffer => {
  const bytes = Buffer.from(body);
  const head = `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${bytes.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), bytes]);
};
export const answerWith =
  (...args: Parameters<typeof httpAnswer>): Reply =>
  (socket) =>
    void socket.write(httpAnswer(...args));

/** Writes until the client closes or `max` bytes are written. Resolves with the number of bytes. */
export const pour = async (
  socket: Socket,
  head: string,
  unit: Buffer,
  max: number,
): Promise<number> => {
  let poured = 0;
  socket.write(head);
  while (!socket.destroyed && poured < max) {
    const isDrained = socket.write(unit);
    poured += unit.length;
    if (isDrained) await nextTurn();
    else await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
  }
  return poured;
};

/** The peak growth of the process during `work`, in MiB. */
export const memoryGrowth = async (work: () => Promise<unknown>): Promise<number> => {
  const before = process.memoryUsage.rss();
  let max = before;
  const measure = () => {
    max = Math.max(max, process.memoryUsage.rss());
  };
  const timer = setInterval(measure, 10);
  await work().finally(() => clearInterval(timer));
  measure();
  return (max - before) / MIB;
};

/** Resolves with the result. Fails if it is late, needs much memory, or has an unbounded outcome. */
export const sendSafely = async (send: () => Promise<SendResult>) => {
  const startedAt = performance.now();
  let result: SendResult | undefined;
  const growth = await memoryGrowth(async () => {
    result = await send();
  });
  expect(performance.now() - startedAt).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  expect(growth).toBeLessThan(300);
  if (result === undefined) throw new Error('Expected a result, found none');
  if (result.kind === 'aborted') throw new Error('Expected a result, found an aborted request');
  const outcome = classify(result);
  if (outcome.kind === 'retry' || outcome.kind === 'dead') {
    expect(outcome.reason.length).toBeLessThanOrEqual(1_000);
    expect(outcome.code.length).toBeLessThanOrEqual(100);
    expect((outcome.reason + outcome.code).isWellFormed()).toBe(true);
  }
  return { result, outcome };
};

/** The head of a chunked answer. */
export const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
export const chunk = (bytes: Buffer) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

/** Deeply nested JSON. */
const deep = (levels: number, [left, right]: readonly [string, string]) =>
  left.repeat(levels) + (left === '{"a":' ? '1' : '') + right.repeat(levels);
const LEVELS = 100_000;
export const LISTS = deep(LEVELS, ['[', ']']);
export const OBJECTS = deep(LEVELS, ['{"a":', '}']);
