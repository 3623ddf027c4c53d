import { deliver, faultAt, refuseInput } from '../replies.ts';
import type { Scenario } from '../scenario.ts';

const FAULT_RATE = 0.3;
const INVALID_RATE = 0.05;
const WORKERS = 2;

/** Three of ten requests fail, with every kind of fault. SEEK rejects some signals every time. */
const randomFaults = (name: string, batchSize: number): Scenario => ({
  name,
  load: 1,
  inShortRun: true,
  env: {
    BATCH_SIZE: String(batchSize),
    BATCH_LINGER_MS: '20',
    WORKER_CONCURRENCY: String(Math.max(10, 2 * batchSize)),
  },
  run: async (environment) => {
    const { producer, workers, buildSignals, seek, random, history } = environment;
    const { scale, pause, startApi, verify, waitUntil, inBackground } = environment;
    const signals = buildSignals(scale(500, 120));
    const invalid = new Set(
      signals
        .map(({ mark }) => mark)
        .filter((mark) => random.of('poison', mark).chance(INVALID_RATE)),
    );
    const isInvalid = (mark: string) => invalid.has(mark);
    let faulty = true;
    seek.replyWith((request) => {
      const { marks, nth } = request;
      const dice = random.of(marks[0] ?? '', nth);
      if (faulty && dice.chance(FAULT_RATE)) return faultAt(dice.next());
      if (marks.some(isInvalid)) return refuseInput(request, isInvalid, dice.chance(0.5));
      return deliver(request, dice.between(10, 100));
    });
    await startApi();
    await workers.start(WORKERS);
    const enqueuing = inBackground(producer.enqueueUntilAccepted(signals));
    await pause(scale(40_000, 15_000));
    faulty = false;
    await enqueuing;
    const isFinished = () =>
      signals.every(({ mark }) => history.isProcessed(mark) || isInvalid(mark));
    await waitUntil(isFinished, 60_000);

    if (batchSize > 1) {
      const largest = Math.max(...history.arrivals.map(({ marks }) => marks.length));
      verify(largest > 1, 'no request carried more than one signal');
      verify(largest <= batchSize, `a request carried ${largest} signals, more than BATCH_SIZE`);
    }
    await waitUntil(async () => (await producer.deadLetters()).length >= invalid.size, 30_000);
    const deadLetters = (await producer.deadLetters()).length;
    verify(
      deadLetters === invalid.size,
      `${deadLetters} dead letters of ${invalid.size} invalid signals`,
    );
    return () => ({
      duplicates: history.countUnanswered(),
      allowedDeadCodes: (mark) => (isInvalid(mark) ? ['BAD_USER_INPUT'] : []),
    });
  },
});

export const faults = randomFaults('faults', 1);
export const faultsInBatches = randomFaults('faults-in-batches', 20);
