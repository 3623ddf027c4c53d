import type { Job } from 'bullmq';
import { RETRY_OPTIONS } from '../../src/queue/jobOptions.ts';
import { type BullWorker, createBullJobSource } from '../../src/queue/jobSource.ts';

/** A worker of BullMQ that has one job. */
const setup = async (opts: object) => {
  const seen: unknown[] = [];
  const job = {
    id: 'signal-1',
    name: 'signal',
    data: {},
    timestamp: 0,
    attemptsMade: 0,
    stalledCounter: 0,
    opts,
    moveToFailed: async (err: Error) => {
      seen.push([err.name, { ...job.opts }]);
    },
  };
  const worker = { on: () => {}, getNextJob: async () => job as unknown as Job };
  const source = createBullJobSource({
    openWorker: () => worker as unknown as BullWorker,
    onError: () => {},
  });
  const taken = await source.waitForJob();
  if (taken === undefined) throw new Error('Expected a job, found none');
  return { source, taken, seen };
};

describe('options stored with a job', () => {
  it.each([
    { attempts: 1 },
    { attempts: 1, backoff: { type: 'fixed', delay: 1 } },
    { attempts: 0 },
    {},
  ])('%j → are replaced: this worker’s retry options apply', async (opts) => {
    const { source, taken, seen } = await setup({ ...opts });

    await source.retry(taken, 'RATE_LIMITED: Too many', 2_000);

    expect(seen).toEqual([['RetryError', expect.objectContaining(RETRY_OPTIONS)]]);
  });
});
