import { waitFor } from '../../support/waitFor.ts';

import type { Scenario } from '../scenario.ts';
import { take } from '../verdicts.ts';
import { takeSlowly } from './takeSlowly.ts';

export const workerKilled: Scenario = {
  ...{ name: 'worker-killed', load: 2, inShort: true },
  play: async (stage) => {
    const { ats, crew, makeSignals, random, scale, last, startApi, concurrency } = stage;
    takeSlowly(stage, 100, 300);
    await startApi();
    await crew.hire(3);
    const offering = stage.meanwhile(ats.insist(makeSignals(scale(1200, 300))));

    for (let round = scale(20, 6); round > 0; round -= 1) {
      await last(1_000);
      const present = crew.present();
      await crew.kill(random.pick(present));
      crew.call();
    }
    await offering;

    // A try that its worker did not survive is none.
    return () => ({ duplicates: crew.killed() * concurrency, attempts: 1 });
  },
};

export const workerStopped: Scenario = {
  ...{ name: 'worker-stopped', load: 1, inShort: false },
  play: async (stage) => {
    const { ats, crew, history, makeSignals, startApi, concurrency, demand } = stage;
    takeSlowly(stage, 400, 1_000);
    await startApi();
    const [sleeper] = await crew.hire(2);
    if (sleeper === undefined) throw new Error('nobody to stop');
    await ats.insist(makeSignals(200));
    const underWay = () =>
      history.arrivals.filter(({ by, heard }) => by === sleeper.name && !heard);
    await waitFor(() => underWay().length >= concurrency / 2, { what: 'requests under way' });

    sleeper.kill('SIGSTOP');
    const left = underWay().flatMap(({ marks }) => marks);
    // Longer than its locks last: others have taken its signals up.
    const takenUp = () =>
      left.every((mark) => history.of(mark).some(({ by }) => by !== sleeper.name));
    const taken = await waitFor(takenUp, { timeoutMs: 120_000, everyMs: 100 }).catch(() => false);
    demand(taken, 'what a stopped worker held was not taken up by another within two minutes');
    const awakeAt = Date.now();
    sleeper.kill('SIGCONT');
    await ats.insist(makeSignals(100));
    const works = () => history.since(awakeAt).some(({ by }) => by === sleeper.name);
    const working = await waitFor(works, { timeoutMs: 60_000 }).catch(() => false);
    demand(working, 'a worker that was woken up took no more work');

    return () => ({ duplicates: concurrency });
  },
};

export const rollingDeploy: Scenario = {
  ...{ name: 'rolling-deploy', load: 2, inShort: true },
  // A second for what is under way, and then it is let go.
  env: { SHUTDOWN_TIMEOUT_MS: '4000', SEEK_TIMEOUT_MS: '10000' },
  play: async (stage) => {
    const { ats, crew, seek, random, makeSignals, scale, startApi, demand, last } = stage;
    seek.behave((request) => {
      const dice = random.of(request.marks[0] ?? '', request.nth);
      return take(request, dice.chance(0.05) ? 3_000 : dice.between(50, 400));
    });
    await startApi();
    await crew.hire(3);
    let deploying = true;
    let stopped = 0;
    const keepOffering = async () => {
      while (deploying) {
        await ats.insist(makeSignals(20));
        await last(200);
      }
    };
    const offering = stage.meanwhile(keepOffering());

    for (let round = scale(4, 1); round > 0; round -= 1) {
      for (const worker of crew.present()) {
        const { code, ms } = await worker.end('SIGTERM');
        stopped += 1;
        demand(code === 0, `${worker.name} ended with ${code}`);
        demand(ms < 4_500, `${worker.name} took ${Math.round(ms)} ms to end`);
        await crew.hire();
      }
    }
    deploying = false;
    await offering;

    // Nobody was killed. Twice comes what was let go after SEEK had taken it, and that is no attempt.
    // At each stop an answer may be on its way at the very moment at which its request is let go.
    return () => ({ duplicates: stage.history.unheardTakings() + stopped, attempts: 1 });
  },
};

export const producerKilled: Scenario = {
  ...{ name: 'producer-killed', load: 2, inShort: true },
  play: async (stage) => {
    const { ats, crew, makeSignals, scale, last, startApi, killApi } = stage;
    await startApi();
    await crew.hire(2);
    // Whoever got no answer offers the same signals again: they are known by then, or new.
    const offering = stage.meanwhile(ats.insist(makeSignals(scale(6_000, 1_500))));
    for (let round = scale(6, 2); round > 0; round -= 1) {
      await last(1_500);
      await killApi();
      await startApi();
    }
    await offering;

    return () => ({ attempts: 1 });
  },
};
