import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';

type App = { fetch: (request: Request) => Response | Promise<Response> };

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
// Node looks every 30 seconds otherwise, and the timeouts above would be as much longer.
const CHECK_EVERY_MS = 1_000;

/** Serves an app. Rejects with the system's error (`EADDRINUSE`, …) where it can't listen. */
export const serve = async (app: App, { host, port }: { host: string; port: number }) => {
  const server = createServer(
    // A client that dawdles over its request holds a connection, and no more than this long.
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
    },
    // Whoever embeds this keeps its own Request and Response.
    getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  );
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;

  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    /** Answers what was asked, and takes no more. Who has not said all by `patienceMs` is cut off. */
    close: async (patienceMs: number): Promise<void> => {
      const closed = once(server, 'close');
      server.close();
      // To Node one that has said nothing yet is not idle, and from now on it looks after no timeouts.
      for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
      const timer = setTimeout(() => server.closeAllConnections(), patienceMs);
      await closed.finally(() => clearTimeout(timer));
    },
    /** Cuts off whoever is still connected. */
    cut: (): Promise<void> =>
      new Promise((resolve) => {
        // A second time it finds the server closed already, which is what it wants.
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
