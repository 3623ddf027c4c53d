import { once } from 'node:events';
import { connect } from 'node:net';

import { serve } from '../../src/runtime/httpServer.ts';

const start = async (respond: (request: Request) => Promise<Response>) =>
  serve({ fetch: respond }, { host: '127.0.0.1', port: 0 });

const sendHalfRequest = async (port: number) => {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf');
  return socket;
};

describe('closing the HTTP server', () => {
  it('a request in progress → is answered', async () => {
    let respond = (_: Response) => {};
    let onRequest = () => {};
    const requested = new Promise<void>((resolve) => {
      onRequest = resolve;
    });
    const server = await start(() => {
      onRequest();
      return new Promise((resolve) => {
        respond = resolve;
      });
    });
    const response = fetch(server.url);
    await requested;

    const closing = server.close(60_000);
    respond(new Response('here', { headers: { connection: 'close' } }));

    expect(await (await response).text()).toBe('here');
    await closing;
  });

  it('a connection without a request → is closed at once', async () => {
    const server = await start(async () => new Response('here'));
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    // Once this request is answered, the server has accepted both connections.
    await (await fetch(server.url)).text();

    await server.close(60_000);

    expect(socket.bytesRead).toBe(0);
    socket.destroy();
  });

  it('a request that is still incomplete after the grace period → is cut off', async () => {
    const server = await start(async (request) => new Response(await request.text()));
    const socket = await sendHalfRequest(server.port);
    const cut = new Promise<void>((resolve) => socket.on('close', () => resolve()));

    await server.close(10);

    await cut;
  });
});
