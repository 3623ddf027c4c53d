import { startTcpProxy } from '../../support/tcpProxy.ts';
import { waitFor } from '../../support/waitFor.ts';
import { isDrained, readPendingWork } from '../drain.ts';
import type { Environment } from '../environment.ts';
import { deliver, refuse } from '../replies.ts';
import type { Scenario } from '../scenario.ts';
import type { TestSignal } from '../signals.ts';
import type { WorkerProcess } from '../workerProcesses.ts';

const DEAD_LETTERS_TIMEOUT_MS = 120_000;
const REDRIVE_TIMEOUT_MS = 90_000;
const REASON = 'withdrawn';

/**
 * Starts a worker whose connection to Redis is slow. SEEK refuses a signal that it redrives, and other
 * workers move it to the dead letters again, before this worker has removed the old dead letter.
 */
const startSlowWorker = async ({
  workers,
  redis,
  onClose,
}: Environment): Promise<WorkerProcess> => {
  const proxy = await startTcpProxy(redis.port);
  onClose(proxy.stop);
  proxy.delay(60);
  const [worker] = await workers.start(1, { REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
  if (worker === undefined) throw new Error('No worker started');
  return worker;
};

/** Repeats the call while the API says that there is more, for what had died when the first one began. */
const redriveAll = async ({ request }: Environment['producer']) => {
  let until: string | undefined;
  for (;;) {
    const filter = until === undefined ? {} : { until };
    const answer = await request('POST', '/dead-letters/redrive', filter, REDRIVE_TIMEOUT_MS);
    if (answer.status !== 202) return answer;
    const run: { more: boolean; until: string } = JSON.parse(answer.text);
    if (!run.more) return answer;
    until ??= run.until;
  }
};

/** Enqueues signals that SEEK refuses, and waits until all are dead letters. */
const fillDeadLetters = async (environment: Environment, signals: TestSignal[]): Promise<void> => {
  const { producer, seek, verify } = environment;
  seek.replyWith(() => refuse('FORBIDDEN'));
  await producer.enqueueUntilAccepted(signals);
  await waitFor(async () => isDrained(await readPendingWork(environment)), {
    timeoutMs: DEAD_LETTERS_TIMEOUT_MS,
    everyMs: 200,
    what: 'all signals to be in the dead letters',
  });
  const deadLetters = (await producer.deadLetters()).length;
  verify(
    deadLetters === signals.length,
    `${deadLetters} dead letters of ${signals.length} refused signals`,
  );
};

export const redriveKilled: Scenario = {
  name: 'redrive-killed',
  load: 2,
  inShortRun: true,
  env: { WORKER_CONCURRENCY: '20' },
  run: async (environment) => {
    const { producer, workers, seek, history, buildSignals, random, concurrency } = environment;
    const { scale, pause, startApi, verify, waitUntil } = environment;
    const signals = buildSignals(scale(2_500, 300));
    await startApi();
    await workers.start(3);
    await fillDeadLetters(environment, signals);

    const discard = (signalId: string) =>
      producer.request('DELETE', `/dead-letters/${signalId}?reason=${REASON}`);
    // Discards some. Redrives the rest while workers are killed; SEEK refuses a quarter again.
    const first = signals.slice(0, 10);
    for (const { signalId } of first) await discard(signalId);
    const stillRefused = new Set(signals.filter((_, n) => n % 4 === 0).map(({ mark }) => mark));
    seek.replyWith((request) =>
      request.marks.some((mark) => stillRefused.has(mark))
        ? refuse('FORBIDDEN')
        : deliver(request, 20),
    );
    const slowWorker = await startSlowWorker(environment);
    const before = history.arrivals.length;
    const redriving = redriveAll(producer);
    await waitUntil(() => history.arrivals.length > before, 30_000);
    // Discards dead letters during the redrive. The answer says which of them it was in time for.
    const discardedLate = new Set<string>();
    for (let round = scale(10, 4); round > 0; round -= 1) {
      for (const { mark, signalId } of Array.from({ length: 20 }, () => random.pick(signals))) {
        const { status } = await discard(signalId);
        if (status !== 404 && status !== 409) discardedLate.add(mark);
      }
      await workers.kill(
        random.pick(workers.running().filter(({ name }) => name !== slowWorker.name)),
      );
      workers.spawn();
      await pause(800);
    }
    const { status, text } = await redriving;
    verify(status === 202, `the API answered the redrive with ${status} ${text}`);
    const discarded = new Set(first.map(({ mark }) => mark));
    const arrived = history.arrivals.slice(before).flatMap(({ marks }) => marks);
    verify(!arrived.some((mark) => discarded.has(mark)), 'a discarded signal was sent to SEEK');

    return () => ({
      duplicates: workers.countKilled() * concurrency,
      allowedDeadCodes: (mark) =>
        stillRefused.has(mark) && !discarded.has(mark) ? ['FORBIDDEN'] : [],
      isSkipAllowed: (mark, reason) =>
        (discarded.has(mark) || discardedLate.has(mark)) && reason.endsWith(`: ${REASON}`),
    });
  },
};
