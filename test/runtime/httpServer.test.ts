import { once } from 'node:events';
import { connect } from 'node:net';

import { serve } from '../../src/runtime/httpServer.ts';

const start = async (answer: (request: Request) => Promise<Response>) =>
  serve({ fetch: answer }, { host: '127.0.0.1', port: 0 });

const half = async (port: number) => {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf');
  return socket;
};

describe('a server that closes', () => {
  it('answers what was asked', async () => {
    let answer = (_: Response) => {};
    let asked = () => {};
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const server = await start(() => {
      asked();
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    const asking = fetch(server.url);
    await isAsked;

    const closing = server.close(60_000);
    answer(new Response('here', { headers: { connection: 'close' } }));

    expect(await (await asking).text()).toBe('here');
    await closing;
  });

  it('waits for nobody who has said nothing', async () => {
    const server = await start(async () => new Response('here'));
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    // By its answer the server has seen both.
    await (await fetch(server.url)).text();

    await server.close(60_000);

    expect(socket.bytesRead).toBe(0);
    socket.destroy();
  });

  it('cuts off who is still talking when its patience ends', async () => {
    const server = await start(async (request) => new Response(await request.text()));
    const socket = await half(server.port);
    const cut = new Promise<void>((resolve) => socket.on('close', () => resolve()));

    await server.close(10);

    await cut;
  });
});
