import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';

/** What the proxy does with a CONNECT: make the tunnel, answer a status, never answer, or close. */
export type ProxyBehaviour = 'tunnel' | 'hang' | 'close' | number;

/** An HTTP proxy on a free loopback port that makes tunnels as scripted, and records each CONNECT. */
export const startConnectProxy = async (behaviour: ProxyBehaviour = 'tunnel') => {
  let current = behaviour;
  const tunnels: { target: string | undefined; authorization: string | undefined }[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((_, response) => response.writeHead(405).end());
  server.on('connection', keep);
  server.on('connect', ({ url, headers }, client) => {
    tunnels.push({ target: url, authorization: headers['proxy-authorization'] });
    if (current === 'hang') return;
    if (current === 'close') {
      client.destroy();
      return;
    }
    if (typeof current === 'number') {
      client.end(`HTTP/1.1 ${current} Scripted\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${url}`);
    const target = keep(connect(Number(port || 80), hostname));
    target.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(client).pipe(target);
    });
    client.once('close', () => target.destroy());
    target.once('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('Found no port');

  return {
    url: `http://127.0.0.1:${address.port}`,
    host: `127.0.0.1:${address.port}`,
    tunnels,
    behave: (next: ProxyBehaviour) => {
      current = next;
    },
    close: async (): Promise<void> => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
};
