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

describe('requests of load balancers', () => {
  const exchange = async (request: string): Promise<string> => {
    const server = await start(async ({ url }) => new Response(new URL(url).pathname));
    const socket = connect(server.port, '127.0.0.1');
    socket.setEncoding('utf8').end(request);
    let answer = '';
    for await (const text of socket) answer += text;
    await server.cut();
    return answer;
  };

  it.each([
    [
      'HTTP/1.0 without a host',
      'GET /health/ready HTTP/1.0\r\n\r\n',
      /200 OK[\s\S]*\/health\/ready$/,
    ],
    [
      'HTTP/1.1 with an empty host',
      'GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n',
      /200 OK/,
    ],
    ['OPTIONS, HTTP/1.0 without a host', 'OPTIONS / HTTP/1.0\r\n\r\n', /200 OK[\s\S]*\/$/],
    ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /200 OK/],
    ['HTTP/1.1 without a host', 'GET / HTTP/1.1\r\n\r\n', /400 Bad Request/],
  ])('%s → %#', async (_, request, answer) => {
    expect(await exchange(request)).toMatch(answer);
  });
});

describe('a path that is no valid percent-encoding', () => {
  it.each(['/a/%zz/b', '/%', '/%e0%a4', '/%ff', '/x%2'])(
    '%j → 400, not passed to the app',
    async (path) => {
      const asked: string[] = [];
      const server = await start(async ({ url }) => {
        asked.push(url);
        return new Response('here');
      });

      const response = await fetch(`${server.url}${path}`, { method: 'DELETE' });
      await server.cut();

      expect(response.status).toBe(400);
      expect(await response.json()).toEqual({
        message: expect.stringContaining('percent-encoded'),
      });
      expect(asked).toEqual([]);
    },
  );

  it('a valid one, and any query → passed to the app', async () => {
    const server = await start(async ({ url }) => new Response(url));

    const answer = await (await fetch(`${server.url}/a%25%C3%A9%2Fb?reason=100%`)).text();
    await server.cut();

    expect(answer).toMatch(/\/a%25%C3%A9%2Fb\?reason=100%$/);
  });
});
