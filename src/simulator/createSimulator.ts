import { setTimeout } from 'node:timers/promises';
import { Hono } from 'hono';
import { serve } from '../runtime/httpServer.ts';
import { answerOtherMethods } from '../runtime/otherMethods.ts';
import { createAccessTokens } from './accessTokens.ts';
import { createControlApi } from './controlApi.ts';
import { createFaults, type Faults } from './faults.ts';
import { createGraphqlEndpoint } from './graphql/graphqlEndpoint.ts';
import type { SimulatorEnv } from './graphql/graphqlResponse.ts';
import type { WriteLog } from './log.ts';
import { renderPage } from './page.ts';
import {
  type AcceptedSignal,
  createRingBuffer,
  type RecordedRequest,
  type RingBuffer,
} from './records.ts';
import { createSettings, type Settings, type SettingsPatch } from './settings.ts';
import { createTokenEndpoint } from './tokenEndpoint.ts';

export type SimulatorOptions = SettingsPatch & {
  clientId: string;
  clientSecret: string;
  /** The present time, in milliseconds since 1970. */
  now?: () => number;
  /** A number from 0 to below 1. Decides whether a fault with a `rate` is applied. */
  random?: () => number;
  /** Waits for the fault `slow`. */
  sleep?: (ms: number) => Promise<unknown>;
  log?: WriteLog;
  /** How many signals and request ids are stored. Also the bound of stored requests, up to MAX_REQUESTS. */
  maxRecords?: number;
};

export type Simulator = {
  app: Hono<SimulatorEnv>;
  signals: RingBuffer<AcceptedSignal>;
  requests: RingBuffer<RecordedRequest>;
  faults: Faults;
  settings: Settings;
  tokens: { issued: () => number; expireAll: () => void };
};

// A stored request holds its variables, up to 100 signals each: 20,000 full batches take about 1 GB.
const MAX_REQUESTS = 20_000;

// Unreferenced, so that a delayed response does not keep the process alive after its client disconnects.
const sleepUnreferenced = (ms: number) => setTimeout(ms, undefined, { ref: false });

/** A stand-in for SEEK: both of its endpoints, a control API and a page. Opens no port. */
export const createSimulator = ({
  clientId,
  clientSecret,
  now = Date.now,
  random = Math.random,
  sleep = sleepUnreferenced,
  log = () => {},
  maxRecords = 100_000,
  ...initialSettings
}: SimulatorOptions): Simulator => {
  const signals = createRingBuffer<AcceptedSignal>(maxRecords);
  const requests = createRingBuffer<RecordedRequest>(Math.min(maxRecords, MAX_REQUESTS));
  const faults = createFaults({ random });
  const settings = createSettings(initialSettings);
  const tokens = createAccessTokens({ now });

  const deps = { signals, requests, faults, settings, tokens };

  const app = new Hono<SimulatorEnv>({ strict: false });
  app
    .use(answerOtherMethods(app))
    .post('/oauth/token', createTokenEndpoint({ ...deps, clientId, clientSecret, log }))
    .post('/graphql', createGraphqlEndpoint({ ...deps, maxRecords, now, sleep, log }))
    .get('/', (c) => c.html(renderPage(deps)));

  app.route('/simulator', createControlApi(deps));

  return { app, ...deps };
};

export type RunningSimulator = Simulator & {
  url: string;
  graphqlUrl: string;
  authUrl: string;
  /** Closes open connections, and resolves once the port is free. */
  close: () => Promise<void>;
};

type StartOptions = SimulatorOptions & {
  host?: string;
  /** 0, the default, selects a free port. */
  port?: number;
};

/** Resolves once the simulator listens; rejects if the port is not available. */
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
