import { freePort } from '../support/redisServer.ts';
import { html } from '../support/scriptedSeek.ts';
import { shiftedClock } from '../support/shiftedClock.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Deployments, openDeployments, waitUntilDelivered } from './deployment.ts';

// Longer than RETRY_MAX_AGE_MS.
const FOUR_DAYS_MS = 4 * 86_400_000;
const CLOCKS = [
  { clock: 'four days ahead', byMs: FOUR_DAYS_MS },
  { clock: 'four days behind', byMs: -FOUR_DAYS_MS },
];

let deployments: Deployments;
beforeAll(async () => {
  deployments = await openDeployments();
});
afterEach(() => deployments.closeAll());
afterAll(() => deployments.stop());

/** SEEK fails at the first attempt, so that the age of the signal decides about the next one. */
const setup = () => deployments.setup({ answers: [html(503)] });

describe.each(CLOCKS)('a clock $clock', ({ byMs }) => {
  it('of a worker → the worker is not ready, says why and takes no signal; another one delivers it', async () => {
    const { seek, startWorker, startApi } = await setup();
    const METRICS_PORT = String(await freePort());
    const wrong = await startWorker({ ...shiftedClock(byMs), METRICS_PORT });
    await wrong.waitForOutput(/clock of this worker differs/);
    const { send, find } = await startApi();

    const [{ signalId } = { signalId: '' }] = await send([deployments.buildComplete()]);
    await waitFor(async () => (await find(signalId)).state === 'waiting');
    const { status } = await fetch(`http://127.0.0.1:${METRICS_PORT}/health/ready`);
    const requestsOfWrong = seek.requests.length;
    await startWorker();
    await waitUntilDelivered(find, [signalId]);

    expect([status, requestsOfWrong]).toEqual([503, 0]);
    expect((await find(signalId)).attempts).toHaveLength(2);
    expect(await wrong.end()).toMatchObject({ code: 0 });
  });

  it('of an API → its signals are accepted by the clock of Redis, and delivered after a retry', async () => {
    const { startWorker, startApi } = await setup();
    const { send, find } = await startApi(shiftedClock(byMs));
    await startWorker();

    const [{ signalId } = { signalId: '' }] = await send([deployments.buildComplete()]);
    await waitUntilDelivered(find, [signalId]);

    const { acceptedAt, attempts } = await find(signalId);
    expect(Math.abs(Date.parse(acceptedAt) - Date.now())).toBeLessThan(60_000);
    expect(attempts).toHaveLength(2);
  });

  it('of the machine that runs check → an error', async () => {
    const { env } = await setup();

    const { code, stdout } = await deployments.commands.run(['check'], {
      ...env,
      ...shiftedClock(byMs),
    });

    expect(stdout).toMatch(/error +clock/);
    expect(code).toBe(1);
  });
});
