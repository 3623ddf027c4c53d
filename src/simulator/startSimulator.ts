import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';

import { createSimulator, type Simulator, type SimulatorOptions } from './createSimulator.ts';

export type RunningSimulator = Simulator & {
  url: string;
  graphqlUrl: string;
  authUrl: string;
  /** Resolves once the port is free. Whoever is still connected is cut off. */
  close: () => Promise<void>;
};

type StartOptions = SimulatorOptions & {
  host?: string;
  /** 0, the default, takes any free port. */
  port?: number;
};

/** Resolves once the simulator listens; rejects if the port cannot be had. */
export const startSimulator = async ({
  host = '127.0.0.1',
  port = 0,
  ...options
}: StartOptions): Promise<RunningSimulator> => {
  const simulator = createSimulator(options);
  const server = createServer(getRequestListener(simulator.app.fetch));

  server.listen(port, host);
  await once(server, 'listening');

  const url = `http://${host.includes(':') ? `[${host}]` : host}:${portOf(server.address())}`;

  return {
    ...simulator,
    url,
    graphqlUrl: `${url}/graphql`,
    authUrl: `${url}/oauth/token`,

    close: () =>
      new Promise((resolve) => {
        // A second close finds the server closed already, which is what it wants.
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const portOf = (address: AddressInfo | string | null): number => {
  if (address === null || typeof address === 'string') {
    throw new TypeError('The simulator does not listen on a TCP port');
  }

  return address.port;
};
