import { waitFor } from '../../support/waitFor.ts';

import { deliver } from '../replies.ts';
import type { Scenario } from '../scenario.ts';
import { deliverSlowly } from './deliverSlowly.ts';

export const workerKilled: Scenario = {
  name: 'worker-killed',
  load: 2,
  inShortRun: true,
  run: async (environment) => {
    const { producer, workers, buildSignals, random, concurrency } = environment;
    const { scale, pause, startApi, inBackground } = environment;
    deliverSlowly(environment, 100, 300);
    await startApi();
    await workers.start(3);
    const enqueuing = inBackground(producer.enqueueUntilAccepted(buildSignals(scale(1200, 300))));

    for (let round = scale(20, 6); round > 0; round -= 1) {
      await pause(1_000);
      await workers.kill(random.pick(workers.running()));
      workers.spawn();
    }
    await enqueuing;

    // A request whose worker crashed is not recorded as an attempt.
    return () => ({ duplicates: workers.countKilled() * concurrency, attempts: 1 });
  },
};

export const workerStopped: Scenario = {
  name: 'worker-stopped',
  load: 1,
  inShortRun: false,
  run: async (environment) => {
    const { producer, workers, history, buildSignals, concurrency } = environment;
    const { startApi, verify } = environment;
    deliverSlowly(environment, 400, 1_000);
    await startApi();
    const [stopped] = await workers.start(2);
    if (stopped === undefined) throw new Error('No worker to stop');
    await producer.enqueueUntilAccepted(buildSignals(200));
    const inFlight = () =>
      history.arrivals.filter(({ worker, answered }) => worker === stopped.name && !answered);
    await waitFor(() => inFlight().length >= concurrency / 2, { what: 'requests in flight' });

    stopped.kill('SIGSTOP');
    const marks = inFlight().flatMap((arrival) => arrival.marks);
    // Longer than the locks last: the other worker takes the signals over.
    const isTakenOver = () =>
      marks.every((mark) => history.of(mark).some(({ worker }) => worker !== stopped.name));
    const takenOver = await waitFor(isTakenOver, { timeoutMs: 120_000, everyMs: 100 }).catch(
      () => false,
    );
    verify(takenOver, 'the other worker did not take over the signals within two minutes');
    const continuedAt = Date.now();
    stopped.kill('SIGCONT');
    await producer.enqueueUntilAccepted(buildSignals(100));
    const works = () => history.since(continuedAt).some(({ worker }) => worker === stopped.name);
    const working = await waitFor(works, { timeoutMs: 60_000 }).catch(() => false);
    verify(working, 'the stopped worker sent no request after SIGCONT');

    return () => ({ duplicates: concurrency });
  },
};

export const rollingDeploy: Scenario = {
  name: 'rolling-deploy',
  load: 2,
  inShortRun: true,
  // Leaves one second for requests in flight; the worker then aborts them.
  env: { SHUTDOWN_TIMEOUT_MS: '4000', SEEK_TIMEOUT_MS: '10000' },
  run: async (environment) => {
    const { producer, workers, seek, random, buildSignals, history } = environment;
    const { scale, startApi, verify, pause, inBackground } = environment;
    seek.replyWith((request) => {
      const dice = random.of(request.marks[0] ?? '', request.nth);
      return deliver(request, dice.chance(0.05) ? 3_000 : dice.between(50, 400));
    });
    await startApi();
    await workers.start(3);
    let deploying = true;
    let stops = 0;
    const keepEnqueuing = async () => {
      while (deploying) {
        await producer.enqueueUntilAccepted(buildSignals(20));
        await pause(200);
      }
    };
    const enqueuing = inBackground(keepEnqueuing());

    for (let round = scale(4, 1); round > 0; round -= 1) {
      for (const worker of workers.running()) {
        const { code, ms } = await worker.end('SIGTERM');
        stops += 1;
        verify(code === 0, `${worker.name} exited with ${code}`);
        verify(ms < 4_500, `${worker.name} took ${Math.round(ms)} ms to stop`);
        await workers.start();
      }
    }
    deploying = false;
    await enqueuing;

    // An aborted request spends no attempt, and is a duplicate if SEEK processed it. At each stop one
    // complete reply may cross the abort.
    return () => ({ duplicates: history.countUnanswered() + stops, attempts: 1 });
  },
};

export const producerKilled: Scenario = {
  name: 'producer-killed',
  load: 2,
  inShortRun: true,
  run: async (environment) => {
    const { producer, workers, buildSignals } = environment;
    const { scale, pause, startApi, killApi, inBackground } = environment;
    await startApi();
    await workers.start(2);
    // Signals without an answer are sent again. The API recognises those that it had enqueued.
    const enqueuing = inBackground(
      producer.enqueueUntilAccepted(buildSignals(scale(6_000, 1_500))),
    );
    for (let round = scale(6, 2); round > 0; round -= 1) {
      await pause(1_500);
      await killApi();
      await startApi();
    }
    await enqueuing;

    return () => ({ attempts: 1 });
  },
};
