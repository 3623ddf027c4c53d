import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';

type App = { fetch: (request: Request) => Response | Promise<Response> };

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
// Node checks connections every 30 seconds by default, which would delay the timeouts above as much.
const CONNECTION_CHECK_INTERVAL_MS = 1_000;

/** Serves an app. Rejects with the system's error (`EADDRINUSE`, …) if it cannot listen. */
export const serve = async (app: App, { host, port }: { host: string; port: number }) => {
  const server = createServer(
    // These bound how long a slow client holds a connection.
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTION_CHECK_INTERVAL_MS,
    },
    // An application that embeds this server keeps its own global Request and Response.
    getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  );
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  const boundPort = typeof address === 'object' && address !== null ? address.port : port;

  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${boundPort}`,
    port: boundPort,
    /**
     * Answers the requests in progress and accepts no more. Closes the connections that are still open
     * after the grace period.
     */
    close: async (gracePeriodMs: number): Promise<void> => {
      const closed = once(server, 'close');
      server.close();
      // Node does not treat a connection without a request as idle, and stops checking timeouts here.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      const timer = setTimeout(() => server.closeAllConnections(), gracePeriodMs);
      await closed.finally(() => clearTimeout(timer));
    },
    /** Closes the server and every open connection at once. */
    cut: (): Promise<void> =>
      new Promise((resolve) => {
        // A repeated call gets the error of a closed server, and resolves as well.
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
