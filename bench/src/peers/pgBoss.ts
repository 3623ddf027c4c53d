import PgBoss from 'pg-boss';

import { bulks } from '../fill.js';
import { buildSignal } from '../payload.js';
import { type BenchSignal, CONCURRENCY, runPeer } from './peer.js';
import { vacuum } from './vacuum.js';

const QUEUE = 'signals';
const POLLERS = 2;

const open = (connectionString: string) =>
  new PgBoss({ connectionString, schedule: false }).start();

/** Polls again at once after a batch: by default a poller waits until its interval is over. */
const poll = async (boss: PgBoss, deliver: (job: PgBoss.Job<BenchSignal>) => Promise<void>) => {
  const poller: string = await boss.work<BenchSignal>(
    QUEUE,
    { batchSize: CONCURRENCY / POLLERS, pollingIntervalSeconds: 0.5, priority: false },
    async (jobs) => {
      await Promise.all(jobs.map(deliver));
      boss.notifyWorker(poller);
    },
  );
};

await runPeer({
  fill: async (connectionString, count) => {
    const boss = await open(connectionString);
    await boss.createQueue(QUEUE);
    for (const numbers of bulks(count)) {
      await boss.insert(
        numbers.map((number) => ({ name: QUEUE, data: buildSignal(number), retryLimit: 10 })),
      );
    }
    await boss.stop({ graceful: false });
    await vacuum(connectionString);
  },
  work: async (connectionString, deliver) => {
    const boss = await open(connectionString);
    for (let started = 0; started < POLLERS; started += 1) {
      await poll(boss, ({ id, data }) => deliver(id, data));
    }
  },
});
