import type { Scenario } from '../scenario.ts';
import { faultAt, refuseInput, take } from '../verdicts.ts';

const SHARE = 0.3;
const WORKERS = 2;

/** Three of ten requests go wrong, in every way there is; some signals SEEK will never like. */
const randomFaults = (name: string, batchSize: number): Scenario => ({
  ...{ name, load: 1, inShort: true },
  env: {
    ...{ BATCH_SIZE: String(batchSize), BATCH_LINGER_MS: '20' },
    WORKER_CONCURRENCY: String(Math.max(10, 2 * batchSize)),
  },
  play: async (stage) => {
    const { ats, crew, makeSignals, seek, random, history, scale, last, startApi, demand } = stage;
    const signals = makeSignals(scale(500, 120));
    const poisoned = new Set(
      signals.map(({ mark }) => mark).filter((mark) => random.of('poison', mark).chance(0.05)),
    );
    const isBad = (mark: string) => poisoned.has(mark);
    let faulty = true;
    seek.behave((request) => {
      const { marks, nth } = request;
      const dice = random.of(marks[0] ?? '', nth);
      if (faulty && dice.chance(SHARE)) return faultAt(request, dice.next());
      if (marks.some(isBad)) return refuseInput(request, isBad, dice.chance(0.5));
      return take(request, dice.between(10, 100));
    });
    await startApi();
    await crew.hire(WORKERS);
    const offering = stage.meanwhile(ats.insist(signals));
    await last(scale(40_000, 15_000));
    faulty = false;
    await offering;
    await stage.until(() => signals.every(({ mark }) => history.took(mark) || isBad(mark)), 60_000);

    if (batchSize > 1) {
      const largest = Math.max(...history.arrivals.map(({ marks }) => marks.length));
      demand(largest > 1, 'no two signals ever travelled together');
      demand(largest <= batchSize, `${largest} signals travelled together`);
    }
    await stage.until(async () => (await ats.deadLetters()).length >= poisoned.size, 30_000);
    const deadLetters = (await ats.deadLetters()).length;
    demand(
      deadLetters === poisoned.size,
      `${deadLetters} letters, of ${poisoned.size} poisoned signals`,
    );
    return () => ({
      duplicates: history.unheardTakings(),
      mayDie: (mark) => (isBad(mark) ? ['BAD_USER_INPUT'] : []),
    });
  },
});

export const faults = randomFaults('faults', 1);
export const faultsInBatches = randomFaults('faults-in-batches', 20);
