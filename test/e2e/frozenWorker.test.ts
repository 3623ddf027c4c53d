import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expireLocks } from '../support/expireLocks.ts';
import { after as answerAfter, delivered, type ScriptedAnswer } from '../support/scriptedSeek.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Deployments, openDeployments, waitUntilDelivered } from './deployment.ts';

const SIGNALS = 10;
const SEEK_TIMEOUT_MS = 1_500;
// Longer than a request may take, so that every time limit is due when the worker goes on.
const FREEZE_MS = 4_000;

let deployments: Deployments;
beforeAll(async () => {
  deployments = await openDeployments();
});
let frozen: { kill: (signal: NodeJS.Signals) => unknown } | undefined;
// A frozen process does not end on SIGTERM.
afterEach(() => {
  frozen?.kill('SIGCONT');
  return deployments.closeAll();
});
afterAll(() => deployments.stop());

const tokenOf = ({ text }: { text: string }): string => JSON.parse(text).variables.input.token;

/** A worker that was frozen while SEEK had a request for each of ten signals. */
const freezeInFlight = async (answerOf: (isFrozen: Promise<void>) => ScriptedAnswer) => {
  let setFrozen = () => {};
  const isFrozen = new Promise<void>((resolve) => {
    setFrozen = resolve;
  });
  const { seek, env, startWorker, startApi } = await deployments.setup({
    answers: (_, number) => (number <= SIGNALS ? answerOf(isFrozen) : undefined),
  });
  const { send, find } = await startApi();
  const worker = await startWorker({ SEEK_TIMEOUT_MS: String(SEEK_TIMEOUT_MS) });
  const accepted = await send(Array.from({ length: SIGNALS }, deployments.buildComplete));
  await waitFor(() => seek.requests.length === SIGNALS);
  frozen = worker;
  worker.kill('SIGSTOP');
  setFrozen();
  return {
    seek,
    env,
    find,
    send,
    startWorker,
    worker,
    ids: accepted.map(({ signalId }) => signalId),
    log: () => worker.written.stdout,
  };
};

describe('a worker that is frozen during requests', () => {
  it('SEEK answers meanwhile → the answers count: nothing is sent again, and delivery goes on', async () => {
    const { seek, find, worker, ids, log } = await freezeInFlight((isFrozen) =>
      answerAfter(isFrozen, delivered()),
    );

    await sleep(FREEZE_MS);
    worker.kill('SIGCONT');
    await waitUntilDelivered(find, ids);

    expect(seek.requests).toHaveLength(SIGNALS);
    expect(log()).not.toMatch(/delivery\.suspended/);
  });

  it('the connections end without an answer → sent again without an attempt, and delivery goes on', async () => {
    const { seek, find, worker, ids, log } = await freezeInFlight(
      (isFrozen) => (_, socket) => void isFrozen.then(() => socket.destroy()),
    );

    await sleep(FREEZE_MS);
    worker.kill('SIGCONT');
    await waitUntilDelivered(find, ids);

    expect(seek.requests).toHaveLength(2 * SIGNALS);
    expect(log()).not.toMatch(/delivery\.suspended/);
    for (const id of ids) {
      expect((await find(id))?.attempts).toEqual([
        expect.objectContaining({ outcome: 'delivered' }),
      ]);
    }
  });

  it('its locks expire and another worker takes the signals → delivered, at most twice each', async () => {
    const { seek, env, find, send, startWorker, worker, ids } = await freezeInFlight((isFrozen) =>
      answerAfter(isFrozen, delivered()),
    );

    const client = new Redis(deployments.redis.url);
    await expireLocks(client, env.QUEUE_PREFIX ?? '', 'signals');
    client.disconnect();
    const other = await startWorker();
    await waitUntilDelivered(find, ids);
    worker.kill('SIGCONT');
    await other.end();
    const [late] = await send([deployments.buildComplete()]);
    await waitUntilDelivered(find, [late?.signalId ?? '']);

    const tokens = seek.requests.map(tokenOf);
    for (const token of new Set(tokens)) {
      expect(tokens.filter((each) => each === token).length).toBeLessThanOrEqual(2);
    }
    await waitUntilDelivered(find, ids);
  });
});
