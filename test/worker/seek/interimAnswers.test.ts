import { type Reply, sendSafely, setup } from './setupRawServer.ts';

const BODY = '{"data":{"sendSignal":true}}';
const ANSWER = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const ACCEPTED = { kind: 'accepted' };

/** Sends each part in a packet of its own. */
const inParts =
  (...parts: string[]): Reply =>
  async (socket) => {
    socket.setNoDelay(true);
    for (const part of parts) {
      socket.write(part, 'latin1');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };

describe('interim answer before the answer', () => {
  it.each<[string, string[]]>([
    ['100 Continue', [CONTINUE, ANSWER]],
    ['100 Continue in the same packet', [CONTINUE + ANSWER]],
    ['100 Continue with HTTP/1.0', [CONTINUE.replace('1.1', '1.0'), ANSWER]],
    ['100 Continue with headers', ['HTTP/1.1 100 Continue\r\nDate: now\r\nX: y\r\n\r\n', ANSWER]],
    ['100 Continue without a reason', ['HTTP/1.1 100 \r\n\r\n', ANSWER]],
    ['100 Continue twice', [CONTINUE + CONTINUE + ANSWER]],
    ['100 Continue three times, apart', [CONTINUE, CONTINUE, CONTINUE, ANSWER]],
    ['100 Continue in single bytes', [...CONTINUE, ANSWER]],
    ['everything in single bytes', [...CONTINUE, ...ANSWER]],
    ['the end of it with the answer', [CONTINUE.slice(0, 15), CONTINUE.slice(15) + ANSWER]],
    ['102 Processing', ['HTTP/1.1 102 Processing\r\n\r\n', ANSWER]],
    ['103 Early Hints', ['HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n', ANSWER]],
    ['100, 103 and 100', [`${CONTINUE}HTTP/1.1 103 Early Hints\r\n\r\n`, ANSWER]],
    ['Retry-After in an interim answer', ['HTTP/1.1 103 E\r\nRetry-After: 9\r\n\r\n', ANSWER]],
  ])('%s → accepted', async (_, parts) => {
    const { send, requests } = await setup(inParts(...parts));

    expect((await sendSafely(send)).result).toEqual(ACCEPTED);
    expect((await sendSafely(send)).result).toEqual(ACCEPTED);
    expect(requests).toHaveLength(2);
  });

  it('100 Continue → the connections are used again', async () => {
    const ports = new Set<number | undefined>();
    const { send } = await setup(async (socket, request) => {
      ports.add(socket.remotePort);
      await inParts(CONTINUE, ANSWER)(socket, request);
    });

    for (let request = 0; request < 9; request += 1) expect(await send()).toEqual(ACCEPTED);

    // The client opens at most two connections at a time.
    expect(ports.size).toBeLessThanOrEqual(2);
  });

  it('a body that begins like 100 Continue, in a packet of its own → stays', async () => {
    const body = `${CONTINUE}${BODY}`;
    const head = `HTTP/1.1 502 Bad\r\nContent-Length: ${body.length}\r\n\r\n`;
    const { send, logs } = await setup(inParts(head, CONTINUE, BODY), { logBodies: true });

    await send();

    expect(logs.lines()).toMatchObject([{ status: 502, answer: body }]);
  });

  it.each<[string, Reply]>([
    ['100 Continue and no more', (socket) => void socket.end(CONTINUE)],
    ['half of 100 Continue', (socket) => void socket.end(CONTINUE.slice(0, 9))],
    ['status 1000', (socket) => void socket.end(`HTTP/1.1 1000 X\r\n\r\n${ANSWER}`)],
    [
      '100 Continue with endless headers',
      (socket) => void socket.write(`${CONTINUE.slice(0, -2)}X: ${'x'.repeat(99_999)}`),
    ],
  ])('%s → unreachable', async (_, reply) => {
    const { send } = await setup(reply);

    expect((await sendSafely(send)).result).toMatchObject({ kind: 'unreachable' });
  });
});
