import type { Bookkeeping } from '../../src/queue/backend.ts';
import { createOutcomeRecorder } from '../../src/worker/recordOutcomes.ts';
import { captureLogs } from '../support/captureLogs.ts';

const { jest } = import.meta;

type Outcome = Parameters<Bookkeeping['recordOutcomes']>[0][number];

const setup = (recordOutcomes: (batch: readonly Outcome[]) => Promise<void> = async () => {}) => {
  const recorded: (readonly Outcome[])[] = [];
  const logs = captureLogs();
  const indexed: unknown[] = [];
  const outcomeRecorder = createOutcomeRecorder({
    bookkeeping: {
      recordOutcomes: (batch) => {
        if (batch.length > 0) recorded.push(batch);
        return recordOutcomes(batch);
      },
    },
    index: {
      indexRequests: async (entries, max) => {
        if (entries.length > 0) indexed.push([entries, max]);
      },
    },
    maxIndexedSignals: 7,
    logger: logs.logger,
  });
  return { outcomeRecorder, recorded, indexed, logs };
};

const delivered = (signalId: string): Outcome => ({ signalId, outcome: 'delivered' });

describe('outcome recorder', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('requests → are indexed in batches', async () => {
    const { outcomeRecorder, indexed } = setup();
    const requests = ['a', 'b'].map((requestId) => ({ requestId, signalIds: ['s', requestId] }));

    for (const request of requests) outcomeRecorder.addRequest(request);
    await jest.advanceTimersByTimeAsync(100);
    await outcomeRecorder.close();

    expect(indexed).toEqual([[requests, 7]]);
  });

  it('outcomes → are recorded in batches, each once', async () => {
    const { outcomeRecorder, recorded } = setup();

    outcomeRecorder.addOutcome(delivered('a'));
    outcomeRecorder.addOutcome(delivered('b'));
    await jest.advanceTimersByTimeAsync(100);
    outcomeRecorder.addOutcome(delivered('c'));
    await jest.advanceTimersByTimeAsync(1_000);
    await outcomeRecorder.close();

    expect(recorded).toEqual([[delivered('a'), delivered('b')], [delivered('c')]]);
  });

  it('close → records the rest, and leaves no timer behind', async () => {
    const { outcomeRecorder, recorded } = setup();
    outcomeRecorder.addOutcome(delivered('a'));

    await outcomeRecorder.close();

    expect(recorded).toEqual([[delivered('a')]]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('queue rejects a batch → a warning, and the next batch is recorded', async () => {
    const { outcomeRecorder, recorded, logs } = setup(async (batch) => {
      if (batch.some(({ signalId }) => signalId === 'a')) throw new Error('ECONNREFUSED');
    });

    outcomeRecorder.addOutcome(delivered('a'));
    await jest.advanceTimersByTimeAsync(100);
    outcomeRecorder.addOutcome(delivered('b'));
    await outcomeRecorder.close();

    expect(logs.lines()).toMatchObject([
      {
        level: 'warn',
        msg: 'Failed to record outcomes; will be reconciled',
        reason: 'ECONNREFUSED',
        signals: 1,
      },
    ]);
    expect(recorded.at(-1)).toEqual([delivered('b')]);
  });

  it('queue does not answer → later outcomes wait in one batch', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { outcomeRecorder, recorded } = setup(() => gate);

    for (const id of ['a', 'b', 'c']) {
      outcomeRecorder.addOutcome(delivered(id));
      await jest.advanceTimersByTimeAsync(1_000);
    }
    release();
    await outcomeRecorder.close();

    expect(recorded).toEqual([[delivered('a')], [delivered('b'), delivered('c')]]);
  });

  it('close during a flush → waits until everything is recorded', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { outcomeRecorder } = setup((batch) => (batch.length > 0 ? gate : Promise.resolve()));
    let closed = false;

    outcomeRecorder.addOutcome(delivered('a'));
    await jest.advanceTimersByTimeAsync(100);
    const closing = outcomeRecorder.close().then(() => {
      closed = true;
    });
    await jest.advanceTimersByTimeAsync(1_000);
    expect(closed).toBe(false);
    release();

    await closing;
  });
});
