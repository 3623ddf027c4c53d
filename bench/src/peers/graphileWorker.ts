import { Logger, makeWorkerUtils, run } from 'graphile-worker';

import { bulks } from '../fill.js';
import { buildSignal } from '../payload.js';
import { type BenchSignal, CONCURRENCY, runPeer } from './peer.js';
import { vacuum } from './vacuum.js';

const TASK = 'signal';
declare global {
  namespace GraphileWorker {
    interface Tasks {
      signal: BenchSignal;
    }
  }
}
// By default it logs a line for each job, and so does this benchmark.
const logger = new Logger(() => () => {});

await runPeer({
  fill: async (connectionString, count) => {
    const utils = await makeWorkerUtils({ connectionString, logger });
    await utils.migrate();
    for (const numbers of bulks(count)) {
      await utils.addJobs(
        numbers.map((number) => ({ identifier: TASK, payload: buildSignal(number) })),
      );
    }
    await utils.release();
    await vacuum(connectionString);
  },
  work: (connectionString, deliver) =>
    run({
      taskList: { [TASK]: (payload, { job }) => deliver(job.id, payload) },
      preset: {
        worker: {
          connectionString,
          logger,
          concurrentJobs: CONCURRENCY,
          localQueue: { size: 500 },
          completeJobBatchDelay: 1,
        },
      },
    }),
});
