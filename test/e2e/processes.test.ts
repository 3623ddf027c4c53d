import { Redis } from 'ioredis';
import { buildPositionStatusUpdate, buildSignal } from '../support/buildSignal.ts';
import { expireLocks } from '../support/expireLocks.ts';
import { SLACK_MS } from '../support/inTime.ts';
import { startRedis } from '../support/redisServer.ts';
import { delivered, hang, slow } from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';
import { BOARD, type Deployments, openDeployments, waitUntilDelivered } from './deployment.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let deployments: Deployments;
beforeAll(async () => {
  deployments = await openDeployments();
});
afterEach(() => deployments.closeAll());
afterAll(() => deployments.stop());

const tokenOf = ({ text }: { text: string }): string => JSON.parse(text).variables.input.token;

describe('the processes of a deployment', () => {
  it('300 mixed signals → each delivered once, and every process ends in time on SIGTERM', async () => {
    const { seek, start, startWorker, startApi } = await deployments.setup();
    const { api, send, find } = await startApi();
    const workers = [await startWorker(), await startWorker()];
    const board = start('board');
    const boardUrl = await board.waitForOutput(/"url":"([^"]+)"/);
    const signals = Array.from({ length: 100 }, (_, n) => [
      deployments.buildComplete(),
      buildSignal({ token: deployments.createToken() }),
      buildPositionStatusUpdate({ positionProfileIds: [`position-${n}`] }),
    ]).flat();

    const accepted = await send(signals);
    await waitFor(() => seek.requests.length >= 300);
    await waitUntilDelivered(
      find,
      accepted.map(({ signalId }) => signalId),
    );

    expect(seek.inputs()).toHaveLength(300);
    expect(seek.inputs()).toEqual(expect.arrayContaining(signals));
    const requestIds = seek.requests.map(({ headers }) => headers['x-request-id']);
    expect(new Set(requestIds).size).toBe(300);
    for (const id of requestIds) expect(id).toMatch(UUID);
    // One partner token for each worker that had something to send.
    const bearers = new Set(seek.requests.map(({ headers }) => headers.authorization));
    expect(bearers.size).toBe(seek.tokenRequests.length);
    expect(seek.tokenRequests.length).toBeLessThanOrEqual(2);
    const page = await fetch(boardUrl, {
      headers: { authorization: `Basic ${btoa(`${BOARD.username}:${BOARD.password}`)}` },
    });
    expect([page.status, (await fetch(boardUrl)).status]).toEqual([200, 401]);

    const ended = await Promise.all([api, board, ...workers].map((started) => started.end()));
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    for (const { ms } of ended) expect(ms).toBeLessThan(4_000 + SLACK_MS);
  });

  it('a worker is killed during attempts → every signal is delivered, and only those in flight may arrive twice', async () => {
    const received: string[] = [];
    let isKilled = false;
    const { seek, env, startWorker, startApi } = await deployments.setup({
      answers: (request) => {
        if (isKilled) return delivered();
        received.push(tokenOf(request));
        return received.length > 30 ? hang() : slow(5, delivered());
      },
    });
    const { send, find } = await startApi();
    const worker = await startWorker({ WORKER_CONCURRENCY: '10' });
    const signals = Array.from({ length: 60 }, deployments.buildComplete);
    const ids = (await send(signals)).map(({ signalId }) => signalId);
    await waitFor(() => received.length >= 40);

    await worker.end('SIGKILL');
    isKilled = true;
    const client = new Redis(deployments.redis.url);
    await expireLocks(client, env.QUEUE_PREFIX ?? '', 'signals');
    client.disconnect();
    await startWorker();
    await waitUntilDelivered(find, ids);

    const arrived = seek.requests.map(tokenOf);
    expect(new Set(arrived)).toEqual(new Set(signals.map((signal) => signal.token)));
    const twice = arrived.filter((one, n) => arrived.indexOf(one) !== n);
    expect(twice.length).toBeLessThanOrEqual(10);
    for (const one of twice) expect(received.slice(20)).toContain(one);
  });

  it('SIGTERM while SEEK does not answer → the signals in flight return to the queue without an attempt', async () => {
    const { seek, startWorker, startApi } = await deployments.setup({
      answers: [hang(), hang(), hang()],
    });
    const { send, find } = await startApi();
    const worker = await startWorker({ SHUTDOWN_TIMEOUT_MS: '3500' });
    const ids = (
      await send([
        deployments.buildComplete(),
        deployments.buildComplete(),
        deployments.buildComplete(),
      ])
    ).map((one) => one.signalId);
    await waitFor(() => seek.requests.length === 3);

    const { code, ms } = await worker.end();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(3_500 + SLACK_MS);
    for (const id of ids) expect(await find(id)).toMatchObject({ state: 'waiting', attempts: [] });

    await startWorker();
    await waitUntilDelivered(find, ids);
    expect(seek.requests).toHaveLength(6);
  });

  it.each([
    ['api', /API listening/],
    ['worker', /Worker started/],
    ['board', /Redis is not reachable/],
  ])('SIGTERM to %s while Redis is unreachable → exit code 0 in time', async (command, up) => {
    const { start } = await deployments.setup();
    const started = start(command, { REDIS_URL: 'redis://127.0.0.1:1' });
    await started.waitForOutput(up);
    await started.waitForOutput(/Redis is not reachable/);

    const { code, ms } = await started.end();

    expect(code).toBe(0);
    expect(ms).toBeLessThan(5_000 + SLACK_MS);
  });

  it('SIGTERM to worker after Redis has gone → exit code 0 in time', async () => {
    const redis = await startRedis();
    const { start } = await deployments.setup();
    const started = start('worker', { REDIS_URL: redis.url });
    await started.waitForOutput(/Worker started/);
    await redis.stop();
    await started.waitForOutput(/Redis is not reachable/);

    const { code, ms } = await started.end();

    expect(code).toBe(0);
    expect(ms).toBeLessThan(5_000 + SLACK_MS);
  });
});

describe('the output of all processes', () => {
  it('after these tests → contains no token and no secret', () => {
    expect(deployments.commands.output()).toContain('signal.accepted');
    deployments.expectNoSecretsInOutput();
  });
});
