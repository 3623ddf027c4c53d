import PgBoss from 'pg-boss';

import { bulks } from '../fill.js';
import { buildSignal } from '../payload.js';
import { type BenchSignal, CONCURRENCY, runPeer } from './peer.js';
import { vacuum } from './vacuum.js';

const QUEUE = 'signals';

const open = (connectionString: string) =>
  new PgBoss({ connectionString, schedule: false }).start();

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
    // Several pollers that share the 400 are slower: each fetch sorts all waiting jobs.
    const options = { batchSize: CONCURRENCY, pollingIntervalSeconds: 0.5, priority: false };
    const poller: string = await boss.work<BenchSignal>(QUEUE, options, async (jobs) => {
      await Promise.all(jobs.map(({ id, data }) => deliver(id, data)));
      // Without this, it fetches again only when the interval is over.
      boss.notifyWorker(poller);
    });
  },
});
