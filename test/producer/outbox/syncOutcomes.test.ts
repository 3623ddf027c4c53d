import type { Unsettled } from '../../../src/producer/outbox/outcomeRows.ts';
import { type AskQueue, createAskQueue } from '../../../src/producer/outbox/reconcile.ts';
import { syncOutcomes } from '../../../src/producer/outbox/syncOutcomes.ts';
import type { OutcomeEvent, StreamedOutcome } from '../../../src/queue/backend.ts';
import type { SignalRecord } from '../../../src/schemas/signalRecord.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import { waitFor } from '../../support/waitFor.ts';

const NOW = 1_800_000_000_000;

const delivered = (signalId: string): OutcomeEvent => ({ signalId, outcome: 'delivered', at: 1 });

describe('the keeper of the ledger', () => {
  const setup = (given: {
    reported?: StreamedOutcome[];
    left?: Unsettled[];
    ask?: AskQueue;
    old?: number[];
  }) => {
    const told = [...(given.reported ?? [])];
    const old = [...(given.old ?? [])];
    const left = [...(given.left ?? [])];
    const seen = {
      written: [] as OutcomeEvent[],
      done: [] as string[],
      checked: [] as string[],
      unknown: [] as number[],
    };
    const logs = captureLogs();
    const metrics = { outboxMissing: { inc: (by: number) => seen.unknown.push(by) } };
    const keeper = syncOutcomes({
      outcomeStream: {
        take: async (limit) => told.splice(0, limit),
        done: async (ids) => {
          seen.done.push(...ids);
        },
      },
      outcomeRows: {
        writeBack: async (outcomeStream) => {
          seen.written.push(...outcomeStream);
          return new Set(
            outcomeStream.map(({ signalId }) => signalId).filter((id) => id !== 'early'),
          );
        },
        leftSince: async () => left.splice(0),
        checked: async (ids) => {
          seen.checked.push(...ids);
        },
        prune: async () => old.shift() ?? 0,
      },
      ask: given.ask ?? (async () => ({ kind: 'on its way' })),
      ...{
        keepMs: 1_000,
        logger: logs.logger,
        metrics,
        everyMs: 1,
        tendEveryMs: 1,
        now: () => NOW,
      },
    });
    return { ...seen, keeper, logs, old };
  };

  it('writes down what it is told, and only then says so', async () => {
    const reported = [{ id: '1-1', settlement: delivered('a') }];
    const { keeper, written, done } = setup({ reported });

    await waitFor(() => done.length > 0);
    await keeper.close();

    expect(written).toEqual([delivered('a')]);
    expect(done).toEqual(['1-1']);
  });

  it('keeps for later what comes before its row, and not for ever', async () => {
    const reported = [
      { id: '1-1', settlement: { ...delivered('early'), at: NOW - 1_000 } },
      { id: '1-2', settlement: { ...delivered('early'), at: NOW - 61_000 } },
      { id: '1-3', settlement: { ...delivered('a'), at: NOW - 1_000 } },
    ];
    const { keeper, done } = setup({ reported });

    await waitFor(() => done.length > 0);
    await keeper.close();

    expect(done).toEqual(['1-2', '1-3']);
  });
  it.each([
    { now: 'on its way again', isWritten: false, asked: { kind: 'on its way' as const } },
    { now: 'lost', isWritten: true, asked: { kind: 'unknown' as const } },
    {
      ...{ now: 'skipped still', isWritten: true },
      asked: {
        kind: 'settled' as const,
        settlement: { ...delivered('a'), outcome: 'skipped' as const },
      },
    },
  ])(
    'does not take a signal for skipped before it has asked: $now',
    async ({ asked, isWritten }) => {
      const settlement = { ...delivered('a'), outcome: 'skipped' as const };
      const reported = [{ id: '1-1', settlement }];
      const { keeper, written, done } = setup({ reported, ask: async () => asked });

      await waitFor(() => done.length > 0);
      await keeper.close();

      expect(written).toEqual(isWritten ? [settlement] : []);
    },
  );

  it('asks for those of which nobody tells', async () => {
    const left: Unsettled[] = [
      { id: '1', signalId: 'told now', state: 'queued' },
      { id: '2', signalId: 'waits', state: 'queued' },
    ];
    const { keeper, written, checked } = setup({
      left,
      ask: async (signalId) =>
        signalId === 'waits'
          ? { kind: 'on its way' }
          : { kind: 'settled', settlement: delivered(signalId) },
    });

    await waitFor(() => checked.length > 0);
    await keeper.close();

    expect(written).toEqual([delivered('told now')]);
    expect(checked).toEqual(['1', '2']);
  });

  it('says that the queue has lost some, and counts them', async () => {
    const { keeper, logs, written, unknown } = setup({
      left: [
        { id: '1', signalId: 'lost', state: 'queued' },
        { id: '2', signalId: 'waits', state: 'queued' },
        { id: '3', signalId: 'lost, too', state: 'dead' },
      ],
      ask: async (signalId) => ({ kind: signalId === 'waits' ? 'on its way' : 'unknown' }),
    });

    await waitFor(() => logs.text().includes('outbox.missing'));
    await keeper.close();

    expect(logs.lines()).toEqual([expect.objectContaining({ signals: 2, signalId: 'lost' })]);
    expect(unknown).toEqual([2]);
    expect(written).toEqual([]);
  });

  it('removes what is old, as long as there is more', async () => {
    const { keeper, old } = setup({ old: [1_000, 1_000, 3] });

    await waitFor(() => old.length === 0);
    await keeper.close();
  });
});

describe('the question to the queue', () => {
  const record: SignalRecord = {
    ...{ signalId: 's', typeCode: 'ApplicationComplete', state: 'waiting', redrives: 0 },
    ...{ acceptedAt: '2026-07-01T00:00:00.000Z', attempts: [] },
  };
  const attempt = {
    ...{ at: '2026-07-01T00:00:01.000Z', requestId: 'r', outcome: 'delivered' as const },
    durationMs: 500,
  };

  it.each<{ what: string; found?: SignalRecord; state?: 'delivered'; says: object }>([
    { what: 'nothing is known', says: { kind: 'unknown' } },
    { what: 'it waits', found: record, says: { kind: 'on its way' } },
    {
      what: 'it is tried again',
      found: { ...record, state: 'retrying' },
      says: { kind: 'on its way' },
    },
    {
      what: 'it was delivered',
      found: { ...record, state: 'delivered', attempts: [attempt] },
      says: {
        kind: 'settled',
        settlement: {
          ...{ signalId: 's', outcome: 'delivered', requestId: 'r', reason: undefined },
          at: Date.parse('2026-07-01T00:00:01.500Z'),
        },
      },
    },
    {
      what: 'it lies in the dead letters',
      found: { ...record, state: 'dead', reason: 'No.' },
      says: {
        kind: 'settled',
        settlement: { signalId: 's', outcome: 'dead', requestId: undefined, reason: 'No.', at: 7 },
      },
    },
    {
      what: 'no more is known than that it was delivered',
      state: 'delivered',
      says: { kind: 'settled', settlement: { signalId: 's', outcome: 'delivered', at: 7 } },
    },
  ])('is answered where $what', async ({ found, state, says }) => {
    const ask = createAskQueue({ find: async () => found, stateOf: async () => state }, () => 7);

    expect(await ask('s')).toEqual(says);
  });
});
