import type { Bookkeeping } from '../../src/queue/backend.ts';
import { createOutcomeRecorder } from '../../src/worker/recordOutcomes.ts';
import { captureLogs } from '../support/captureLogs.ts';

const { jest } = import.meta;

type Settled = Parameters<Bookkeeping['recordOutcomes']>[0][number];

const setup = (recordOutcomes: (batch: readonly Settled[]) => Promise<void> = async () => {}) => {
  const told: (readonly Settled[])[] = [];
  const logs = captureLogs();
  const noted: unknown[] = [];
  const outcomeRecorder = createOutcomeRecorder({
    bookkeeping: {
      recordOutcomes: (batch) => {
        if (batch.length > 0) told.push(batch);
        return recordOutcomes(batch);
      },
    },
    index: {
      indexRequests: async (entries, most) => {
        if (entries.length > 0) noted.push([entries, most]);
      },
    },
    mostKept: 7,
    logger: logs.logger,
  });
  return { outcomeRecorder, told, noted, logs };
};

const settled = (signalId: string): Settled => ({ signalId, outcome: 'delivered' });

describe('settler', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('notes in batches which requests signals went with', async () => {
    const { outcomeRecorder, noted } = setup();
    const requests = ['a', 'b'].map((requestId) => ({ requestId, signalIds: ['s', requestId] }));

    for (const requested of requests) outcomeRecorder.noteRequest(requested);
    await jest.advanceTimersByTimeAsync(100);
    await outcomeRecorder.close();

    expect(noted).toEqual([[requests, 7]]);
  });

  it('tells the ledger in batches, each signal once', async () => {
    const { outcomeRecorder, told } = setup();

    outcomeRecorder.add(settled('a'));
    outcomeRecorder.add(settled('b'));
    await jest.advanceTimersByTimeAsync(100);
    outcomeRecorder.add(settled('c'));
    await jest.advanceTimersByTimeAsync(1_000);
    await outcomeRecorder.close();

    expect(told).toEqual([[settled('a'), settled('b')], [settled('c')]]);
  });

  it('tells the rest when it is closed, and leaves no timer behind', async () => {
    const { outcomeRecorder, told } = setup();
    outcomeRecorder.add(settled('a'));

    await outcomeRecorder.close();

    expect(told).toEqual([[settled('a')]]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('warns, and goes on, when the ledger cannot be told', async () => {
    const { outcomeRecorder, told, logs } = setup(async (batch) => {
      if (batch.some(({ signalId }) => signalId === 'a')) throw new Error('ECONNREFUSED');
    });

    outcomeRecorder.add(settled('a'));
    await jest.advanceTimersByTimeAsync(100);
    outcomeRecorder.add(settled('b'));
    await outcomeRecorder.close();

    expect(logs.lines()).toMatchObject([{ level: 'warn', reason: 'ECONNREFUSED', signals: 1 }]);
    expect(told.at(-1)).toEqual([settled('b')]);
  });

  it('lets nothing pile up behind a ledger that does not answer', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { outcomeRecorder, told } = setup(() => gate);

    for (const id of ['a', 'b', 'c']) {
      outcomeRecorder.add(settled(id));
      await jest.advanceTimersByTimeAsync(1_000);
    }
    release();
    await outcomeRecorder.close();

    expect(told).toEqual([[settled('a')], [settled('b'), settled('c')]]);
  });

  it('is closed only when the ledger has been told all, what was under way included', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { outcomeRecorder } = setup((batch) => (batch.length > 0 ? gate : Promise.resolve()));
    let closed = false;

    outcomeRecorder.add(settled('a'));
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
