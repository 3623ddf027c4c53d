import { type Backend, SIGNALS } from '../../src/queue/backend.ts';

type Options = { backend: Pick<Backend, 'openJobs'>; reason: string; count: number };

/** Fails the next jobs of `signals`, as a worker does that crashes right after. */
export const failJobs = async ({ backend, reason, count }: Options): Promise<void> => {
  const source = backend.openJobs(SIGNALS);
  await source.open();
  for (let failed = 0; failed < count; ) {
    const { taken } = await source.exchange([], { jobs: count - failed, bytes: Infinity });
    if (taken.length === 0) throw new Error(`Expected ${count} jobs, found ${failed}`);
    for (const job of taken) await source.fail(job, reason);
    failed += taken.length;
  }
  await source.close();
};
