import { setTimeout } from 'node:timers/promises';
import { Hono } from 'hono';
import { serve } from '../runtime/httpServer.ts';
import { createAccessTokens } from './accessTokens.ts';
import { createControlApi } from './controlApi.ts';
import { createFaults, type Faults } from './faults.ts';
import type { SimulatorEnv } from './graphql/answer.ts';
import { createGraphqlEndpoint } from './graphql/graphqlEndpoint.ts';
import type { Log } from './log.ts';
import { renderPage } from './page.ts';
import {
  type AcceptedSignal,
  createHistory,
  type History,
  type RecordedRequest,
} from './records.ts';
import { createSettings, type Settings, type SettingsPatch } from './settings.ts';
import { createTokenEndpoint } from './tokenEndpoint.ts';

export type SimulatorOptions = SettingsPatch & {
  clientId: string;
  clientSecret: string;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** 0 up to 1: decides whether a fault with a rate strikes. */
  random?: () => number;
  /** How `slow` waits. */
  sleep?: (ms: number) => Promise<unknown>;
  log?: Log;
  /** How many signals and request ids are remembered, and at most how many requests. */
  keep?: number;
};

export type Simulator = {
  app: Hono<SimulatorEnv>;
  signals: History<AcceptedSignal>;
  requests: History<RecordedRequest>;
  faults: Faults;
  settings: Settings;
  tokens: { issued: () => number; expireAll: () => void };
};

// A request keeps its variables, up to 100 signals each: 20,000 full batches are about 1 GB.
const REQUESTS_MAX = 20_000;

// Unreferenced: a slow answer that nobody waits for any more must not keep the process alive.
const sleepUnreferenced = (ms: number) => setTimeout(ms, undefined, { ref: false });

/** A stand-in for SEEK, both endpoints of it, with a control API and a page. Opens no port. */
export const createSimulator = ({
  clientId,
  clientSecret,
  now = Date.now,
  random = Math.random,
  sleep = sleepUnreferenced,
  log = () => {},
  keep = 100_000,
  ...initialSettings
}: SimulatorOptions): Simulator => {
  const signals = createHistory<AcceptedSignal>(keep);
  const requests = createHistory<RecordedRequest>(Math.min(keep, REQUESTS_MAX));
  const faults = createFaults({ random });
  const settings = createSettings(initialSettings);
  const tokens = createAccessTokens({ now });

  const deps = { signals, requests, faults, settings, tokens };

  const app = new Hono<SimulatorEnv>()
    .post('/oauth/token', createTokenEndpoint({ ...deps, clientId, clientSecret, log }))
    .post('/graphql', createGraphqlEndpoint({ ...deps, keep, now, sleep, log }))
    .get('/', (c) => c.html(renderPage(deps)));

  app.route('/simulator', createControlApi(deps));

  return { app, ...deps };
};

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
