import { cpuMs, memoryMiB, reaches, startSeek } from './processes.js';
import type { Subject } from './subjects.js';

// The start is not measured, nor the end, where too few signals wait to keep the worker busy.
const MEASURED_FROM = 0.15;
const MEASURED_TO = 0.95;

/** How fast a queue was drained, and at which cost. */
export type Drained = {
  perSecond: number;
  /** CPU time per signal in µs: of the worker, and of Redis or PostgreSQL. */
  workerMicros: number;
  storeMicros: number;
  /** The peak memory of the worker, in MiB. */
  memoryMiB: number;
};

/** One run on a fresh Redis or PostgreSQL: fills the queue and drains it. */
export const drain = async (subject: Subject, latencyMs: number): Promise<Drained> => {
  const { count, startStore, fill, run, countsItself = false } = subject;
  const [store, seek] = await Promise.all([startStore(), startSeek(latencyMs)]);
  try {
    await fill?.(store.url, count);
    const [first, last] = [Math.round(count * MEASURED_FROM), Math.round(count * MEASURED_TO)];
    if (!countsItself) seek.send({ watch: [first, last] });
    const worker = run(store, seek, [first, last]);
    const counter = countsItself ? worker : seek;
    const used = async () => [await cpuMs(worker.pid), await store.cpuMs()] as const;

    const from = await reaches(counter, first);
    const [workerBefore, storeBefore] = await used();
    const to = await reaches(counter, last);
    const [workerAfter, storeAfter] = await used();
    const { peak } = await memoryMiB(worker.pid);
    await worker.stop('SIGKILL');

    const signals = last - first;
    return {
      perSecond: (signals / (to.at - from.at)) * 1_000,
      workerMicros: ((workerAfter - workerBefore) / signals) * 1_000,
      storeMicros: ((storeAfter - storeBefore) / signals) * 1_000,
      memoryMiB: peak,
    };
  } finally {
    await Promise.all([seek.stop('SIGKILL'), store.stop()]);
  }
};
