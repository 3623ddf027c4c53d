import { serve } from '../serve.ts';
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
  const { url, cut } = await serve(simulator.app, { host, port });

  return {
    ...simulator,
    url,
    graphqlUrl: `${url}/graphql`,
    authUrl: `${url}/oauth/token`,
    close: cut,
  };
};
