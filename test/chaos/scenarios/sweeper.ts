import type { DeadLetter } from '../../../src/schemas/deadLetter.ts';
import { waitFor } from '../../support/waitFor.ts';
import type { Environment } from '../environment.ts';
import { deliver, refuse } from '../replies.ts';
import type { Scenario } from '../scenario.ts';

// Stored by nothing but a dead letter, so it identifies the write that adds one.
const FIELD = 'failedJob' satisfies keyof DeadLetter;
const ADD_OF_DEAD_LETTER = `"${FIELD}":{`;

const REDRIVE_TIMEOUT_MS = 120_000;

/** The signals in both queues: added to the dead letters, but not removed from the failed jobs. */
const findInBothQueues = async ({ client, key }: Environment): Promise<string[]> => {
  const failed = await client.zrange(key('signals', 'failed'), '0', '-1');
  const isDeadLetter = await Promise.all(
    failed.map((id) => client.exists(key('dead-letters', id))),
  );
  return failed.filter((_, index) => isDeadLetter[index] === 1);
};

/** `hold`: Redis gets the write, and its answer is lost. `drop`: the write is lost, too. */
type Loss = 'hold' | 'drop';

/** Kills the worker when it adds its next dead letter, before Redis answers. */
const killAtNextAdd = async ({ workers, redisProxy }: Environment, loss: Loss): Promise<void> => {
  const [worker] = workers.running();
  if (worker === undefined) throw new Error('No worker to kill');
  redisProxy.watch((text, link) => {
    if (!text.includes(ADD_OF_DEAD_LETTER)) return;
    link[loss]();
    void workers.kill(worker);
  });
  const isKilled = () => !worker.isRunning();
  await waitFor(isKilled, { timeoutMs: 60_000, what: 'the sweeper to add a dead letter' });
  redisProxy.watch(undefined);
};

export const sweeperKilled: Scenario = {
  name: 'sweeper-killed',
  load: 1,
  inShortRun: true,
  env: { WORKER_CONCURRENCY: '5' },
  run: async (environment) => {
    const { producer, workers, seek, buildSignals, short, concurrency } = environment;
    const { scale, startApi, verify, expireLocks, waitUntil } = environment;
    const good = buildSignals(scale(100, 30));
    const refused = buildSignals(scale(100, 30));
    const bad = new Set(refused.map(({ mark }) => mark));
    seek.replyWith((request) =>
      request.marks.some((mark) => bad.has(mark)) ? refuse('FORBIDDEN') : deliver(request, 20),
    );
    await startApi();
    await producer.enqueueUntilAccepted(
      refused.flatMap((signal, place) => [signal, good[place] ?? signal]),
    );

    const inBothQueues = new Set<string>();
    for (let round = scale(12, 4); round > 0; round -= 1) {
      const starting = workers.start();
      await waitFor(() => workers.running().length > 0, { what: 'a worker process' });
      // Every third write is lost. A sweeper that removed the failed job first would lose the signal.
      await killAtNextAdd(environment, round % 3 === 0 ? 'drop' : 'hold');
      await starting.catch(() => {});
      for (const signalId of await findInBothQueues(environment)) inBothQueues.add(signalId);
    }
    verify(inBothQueues.size > 0, 'no worker was killed between adding and removing');

    // Redrives half of them, which SEEK accepts by now, while they are in both queues.
    const redriven = [...inBothQueues].filter((_, place) => place % 2 === 0);
    for (const { mark, signalId } of refused) if (redriven.includes(signalId)) bad.delete(mark);
    // Repeated, because a dead letter that a killed worker holds is busy.
    const redrive = (signalId: string) => async () =>
      (await producer.request('POST', `/dead-letters/${signalId}/redrive`)).status === 202;
    const redriving = Promise.all(
      redriven.map((signalId) => waitUntil(redrive(signalId), REDRIVE_TIMEOUT_MS)),
    );
    if (short) await expireLocks();
    await workers.start(2);
    verify((await redriving).every(Boolean), 'a dead letter could not be redriven');
    const isDelivered = async () =>
      (await Promise.all(redriven.map(producer.find))).every(
        (record) => record?.state === 'delivered',
      );
    verify(await waitUntil(isDelivered, REDRIVE_TIMEOUT_MS), 'a redriven signal was not delivered');

    return () => ({
      duplicates: workers.countKilled() * concurrency,
      allowedDeadCodes: (mark) => (bad.has(mark) ? ['FORBIDDEN'] : []),
    });
  },
};
