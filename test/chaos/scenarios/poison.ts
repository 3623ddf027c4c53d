import { deliver, neverReply } from '../replies.ts';
import type { Scenario } from '../scenario.ts';

const DEAD_TIMEOUT_MS = 300_000;
const SHORT_DEAD_TIMEOUT_MS = 60_000;
// After so many crashes the dispatcher must have isolated the signal that causes them.
const MAX_CRASHES = 6;

/** Every worker that sends a certain signal crashes. */
export const poisonSignal: Scenario = {
  name: 'poison-signal',
  load: 1,
  inShortRun: true,
  env: { WORKER_CONCURRENCY: '5' },
  drainTimeoutMs: 60_000,
  run: async (environment) => {
    const { producer, workers, seek, buildSignals, short, history, concurrency } = environment;
    const { startApi, verify, waitUntil, expireLocks } = environment;
    const others = buildSignals(60);
    const [poison] = buildSignals(1);
    if (poison === undefined) throw new Error('No signal');
    seek.replyWith((request) => {
      if (!request.marks.includes(poison.mark)) return deliver(request, 200);
      const worker = workers.byName(request.worker);
      if (worker !== undefined) void workers.kill(worker);
      return neverReply();
    });
    const wanted = short ? 1 : 2;
    await startApi();
    await workers.start(wanted);
    await producer.enqueueUntilAccepted(others.slice(0, 30));
    await producer.enqueueUntilAccepted([poison, ...others.slice(30)]);

    // Acts as the supervisor that replaces crashed workers. A short run expires their locks at once.
    const isDead = async () => (await producer.find(poison.signalId))?.state === 'dead';
    const deadline = Date.now() + (short ? SHORT_DEAD_TIMEOUT_MS : DEAD_TIMEOUT_MS);
    while (!(await isDead()) && Date.now() < deadline) {
      const missing = wanted - workers.running().length;
      if (missing > 0 && short) await expireLocks();
      for (let count = 0; count < missing; count += 1) workers.spawn();
      await waitUntil(() => workers.running().length < wanted, 1_000);
    }
    const crashes = workers.countKilled();
    verify(
      crashes <= MAX_CRASHES,
      `${crashes} workers crashed on one signal; at most ${MAX_CRASHES} are expected`,
    );
    // Not in a short run: its only worker is down while the locks of the other signals expire.
    const undelivered = others.filter(({ mark }) => !history.isProcessed(mark)).length;
    verify(short || undelivered === 0, `the poison signal held up ${undelivered} other signals`);

    return () => ({
      duplicates: crashes * concurrency,
      allowedDeadCodes: (mark) => (mark === poison.mark ? ['STALLED'] : []),
    });
  },
};
