import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';

type App = { fetch: (request: Request, env?: object) => Response | Promise<Response> };

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
// Node checks connections every 30 seconds by default, which would delay the timeouts above as much.
const CONNECTION_CHECK_INTERVAL_MS = 1_000;

/**
 * Answers 400 for a path that is no valid percent-encoding. Hono would pass it on as it is, and the app would
 * look up, or erase, what has that literal name.
 */
const refuseMalformedPaths =
  ({ fetch }: App): ((request: Request, env?: object) => Response | Promise<Response>) =>
  (request, env) =>
    isMalformed(request.url)
      ? Response.json(
          { message: 'The path is not valid percent-encoded UTF-8: write % as %25' },
          { status: 400, headers: { 'cache-control': 'no-store' } },
        )
      : fetch(request, env);

const isMalformed = (url: string): boolean => {
  const [path = ''] = url.split('?', 1);
  if (!path.includes('%')) return false;
  try {
    decodeURIComponent(path);
    return false;
  } catch {
    return true;
  }
};

/**
 * Completes requests of load balancers, which the adapter would refuse: HTTP/1.0 needs no Host header, and
 * `OPTIONS *` asks about the server, not about a path.
 */
const completeRequests =
  (listener: RequestListener): RequestListener =>
  (incoming, outgoing) => {
    // Node refuses HTTP/1.1 without the header; an empty one is allowed.
    const isCurrent = incoming.httpVersion === '1.0' || incoming.httpVersion === '1.1';
    if (isCurrent && !incoming.headers.host) incoming.headers.host = 'localhost';
    if (incoming.method === 'OPTIONS' && incoming.url === '*') incoming.url = '/';
    return listener(incoming, outgoing);
  };

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
    completeRequests(
      getRequestListener(refuseMalformedPaths(app), { overrideGlobalObjects: false }),
    ),
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
