import { Agent, type IncomingMessage, request } from 'node:http';
import { AUDIENCES } from '../../src/simulator/accessTokens.ts';
import { type RunningSimulator, startSimulator } from '../../src/simulator/createSimulator.ts';
import { buildSignal, CREDENTIALS, SEND_SIGNAL } from './setup.ts';

type Reply = { status: number | undefined; body: string; complete: boolean };

const readAll = (response: IncomingMessage): Promise<Reply> =>
  new Promise((resolve) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk) => {
      body += chunk;
    });
    response.on('error', () => {});
    response.on('close', () =>
      resolve({ status: response.statusCode, body, complete: response.complete }),
    );
  });

describe('a running simulator', () => {
  let simulator: RunningSimulator;
  let agent: Agent;

  beforeEach(async () => {
    agent = new Agent({ keepAlive: true });
    simulator = await startSimulator(CREDENTIALS);
  });

  afterEach(async () => {
    await simulator.close();
    agent.destroy();
  });

  const post = (url: string, body: unknown, headers = {}): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const options = {
        agent,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'test/1', ...headers },
      };

      request(url, options, (response) => resolve(readAll(response)))
        .on('error', reject)
        .end(JSON.stringify(body));
    });

  const send = async (): Promise<Reply> => {
    const { body } = await post(simulator.authUrl, {
      audience: AUDIENCES.live,
      client_id: CREDENTIALS.clientId,
      client_secret: CREDENTIALS.clientSecret,
      grant_type: 'client_credentials',
    });

    return post(
      simulator.graphqlUrl,
      { query: SEND_SIGNAL, variables: { input: buildSignal() } },
      {
        authorization: `Bearer ${JSON.parse(body).access_token}`,
        'x-request-id': crypto.randomUUID(),
      },
    );
  };

  it('started → answers at the addresses that it returns', async () => {
    expect(simulator.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(await send()).toEqual({
      status: 200,
      body: '{"data":{"sendSignal":true}}',
      complete: true,
    });
  });

  it('fault reset → the connection is reset, no signal is accepted', async () => {
    simulator.faults.arm({ kind: 'reset', next: 1 });

    await expect(send()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(simulator.signals.total()).toBe(0);
    expect(simulator.requests.list()).toMatchObject([{ outcome: 'reset' }]);
    expect(await send()).toMatchObject({ complete: true });
  });

  it('fault cutOff → the signal is accepted, half of the response arrives', async () => {
    simulator.faults.arm({ kind: 'cutOff', next: 1 });

    expect(await send()).toEqual({ status: 200, body: '{"data":{"send', complete: false });
    expect(simulator.signals.total()).toBe(1);
    expect(await send()).toMatchObject({ complete: true });
  });

  it('close during a delayed response and on a kept-alive connection → closes at once', async () => {
    await send();
    simulator.faults.arm({ kind: 'slow', delayMs: 600_000, next: 1 });
    const unanswered = expect(send()).rejects.toMatchObject({ code: 'ECONNRESET' });
    await faultApplied();

    await simulator.close();

    await unanswered;
    await expect(send()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(simulator.close()).resolves.toBeUndefined();
  });

  // A fault with `next: 1` is removed when it is applied.
  const faultApplied = async () => {
    while (simulator.faults.list().length > 0) {
      await new Promise(setImmediate);
    }
  };

  it('port already in use → rejects with EADDRINUSE', async () => {
    const port = Number(new URL(simulator.url).port);

    await expect(startSimulator({ ...CREDENTIALS, port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});
