import { AUDIENCES } from '../../src/simulator/accessTokens.ts';
import { createSimulator, type SimulatorOptions } from '../../src/simulator/createSimulator.ts';
import type { FaultInput } from '../../src/simulator/faultSchema.ts';

export const CREDENTIALS = { clientId: 'client', clientSecret: 'secret' };
export const NOW = Date.parse('2024-05-01T00:00:00Z');

export const SEND_SIGNAL = 'mutation ($input: SendSignalInput!) { sendSignal(input: $input) }';
export const SEND_SIGNALS = 'mutation ($input: SendSignalsInput!) { sendSignals(input: $input) }';

export const buildState = (change: object = {}) => ({
  status: { label: 'Interview', index: 2, total: 4 },
  timestamp: '2024-04-30T10:00:00Z',
  success: null,
  ...change,
});

export const buildSignal = (change: object = {}) => ({
  typeCode: 'ApplicationStatusUpdate',
  token: 'seek-token-1',
  current: buildState(),
  ...change,
});

/** A simulator with a fixed clock, and a client with a live access token. */
export const setup = async (options: Partial<SimulatorOptions> = {}) => {
  const clock = { now: NOW };
  const logged: unknown[] = [];
  const simulator = createSimulator({
    ...CREDENTIALS,
    now: () => clock.now,
    log: (...line) => logged.push(line),
    ...options,
  });

  const call = async (method: string, path: string, body?: unknown, headers = {}) => {
    const response = await simulator.app.request(path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');

    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    };
  };

  const authorise = (change: object = {}) =>
    call('POST', '/oauth/token', {
      audience: AUDIENCES.live,
      client_id: CREDENTIALS.clientId,
      client_secret: CREDENTIALS.clientSecret,
      grant_type: 'client_credentials',
      ...change,
    });

  let bearer: string = (await authorise()).body.access_token;

  const post = (body: unknown, headers: Record<string, string> = {}) =>
    call('POST', '/graphql', body, {
      authorization: `Bearer ${bearer}`,
      'user-agent': 'test/1.0.0',
      'x-request-id': crypto.randomUUID(),
      ...headers,
    });

  return {
    simulator,
    clock,
    logged,
    call,
    authorise,
    post,
    send: (signal: unknown) => post({ query: SEND_SIGNAL, variables: { input: signal } }),
    sendAll: (signals: unknown) => post({ query: SEND_SIGNALS, variables: { input: { signals } } }),
    arm: (fault: FaultInput) => simulator.faults.arm(fault),
    enterPlayground: async () => {
      bearer = (await authorise({ audience: AUDIENCES.playground })).body.access_token;
    },
  };
};
