import type { OpenRow } from '../../../src/producer/outbox/outcomeRows.ts';
import { createOutcomeLookup, type OutcomeLookup } from '../../../src/producer/outbox/reconcile.ts';
import { syncOutcomes } from '../../../src/producer/outbox/syncOutcomes.ts';
import type { OutcomeEvent, StreamedOutcome } from '../../../src/queue/backend.ts';
import type { SignalRecord } from '../../../src/schemas/signalRecord.ts';
import { captureLogs } from '../../support/captureLogs.ts';
import { waitFor } from '../../support/waitFor.ts';

const NOW = 1_800_000_000_000;

const delivered = (signalId: string): OutcomeEvent => ({ signalId, outcome: 'delivered', at: 1 });

describe('syncOutcomes', () => {
  const setup = (given: {
    streamed?: StreamedOutcome[];
    stale?: OpenRow[];
    lookUpOutcome?: OutcomeLookup;
    /** How many rows each call of `prune` deletes. */
    pruned?: number[];
  }) => {
    const streamed = [...(given.streamed ?? [])];
    const pruned = [...(given.pruned ?? [])];
    const stale = [...(given.stale ?? [])];
    const seen = {
      written: [] as OutcomeEvent[],
      done: [] as string[],
      checked: [] as string[],
      missing: [] as number[],
    };
    const logs = captureLogs();
    const metrics = { outboxMissing: { inc: (by: number) => seen.missing.push(by) } };
    const sync = syncOutcomes({
      outcomeStream: {
        take: async (limit) => streamed.splice(0, limit),
        acknowledge: async (ids) => {
          seen.done.push(...ids);
        },
      },
      outcomeRows: {
        recordOutcomes: async (events) => {
          seen.written.push(...events);
          return new Set(events.map(({ signalId }) => signalId).filter((id) => id !== 'early'));
        },
        findStale: async () => stale.splice(0),
        markChecked: async (ids) => {
          seen.checked.push(...ids);
        },
        prune: async () => pruned.shift() ?? 0,
      },
      lookUpOutcome: given.lookUpOutcome ?? (async () => ({ kind: 'pending' })),
      keepMs: 1_000,
      logger: logs.logger,
      metrics,
      syncIntervalMs: 1,
      maintenanceIntervalMs: 1,
      now: () => NOW,
    });
    return { ...seen, sync, logs, pruned };
  };

  it('event in the stream → recorded in its row, then acknowledged', async () => {
    const streamed = [{ id: '1-1', event: delivered('a') }];
    const { sync, written, done } = setup({ streamed });

    await waitFor(() => done.length > 0);
    await sync.close();

    expect(written).toEqual([delivered('a')]);
    expect(done).toEqual(['1-1']);
  });

  it('event without a row → left in the stream for one minute, then acknowledged', async () => {
    const streamed = [
      { id: '1-1', event: { ...delivered('early'), at: NOW - 1_000 } },
      { id: '1-2', event: { ...delivered('early'), at: NOW - 61_000 } },
      { id: '1-3', event: { ...delivered('a'), at: NOW - 1_000 } },
    ];
    const { sync, done } = setup({ streamed });

    await waitFor(() => done.length > 0);
    await sync.close();

    expect(done).toEqual(['1-2', '1-3']);
  });

  it.each([
    {
      what: 'a signal that is in the queue again → not recorded',
      isWritten: false,
      found: { kind: 'pending' as const },
    },
    {
      what: 'a signal that the queue does not know → recorded',
      isWritten: true,
      found: { kind: 'missing' as const },
    },
    {
      what: 'a signal that is still skipped → recorded',
      isWritten: true,
      found: { kind: 'known' as const, event: { ...delivered('a'), outcome: 'skipped' as const } },
    },
  ])('skipped event of $what', async ({ found, isWritten }) => {
    const event = { ...delivered('a'), outcome: 'skipped' as const };
    const streamed = [{ id: '1-1', event }];
    const { sync, written, done } = setup({ streamed, lookUpOutcome: async () => found });

    await waitFor(() => done.length > 0);
    await sync.close();

    expect(written).toEqual(isWritten ? [event] : []);
  });

  it('rows without an event → looked up in the queue, and known outcomes recorded', async () => {
    const stale: OpenRow[] = [
      { id: '1', signalId: 'delivered', state: 'queued' },
      { id: '2', signalId: 'waits', state: 'queued' },
    ];
    const { sync, written, checked } = setup({
      stale,
      lookUpOutcome: async (signalId) =>
        signalId === 'waits' ? { kind: 'pending' } : { kind: 'known', event: delivered(signalId) },
    });

    await waitFor(() => checked.length > 0);
    await sync.close();

    expect(written).toEqual([delivered('delivered')]);
    expect(checked).toEqual(['1', '2']);
  });

  it('rows whose signals the queue has lost → counted, and logged as outbox.missing', async () => {
    const { sync, logs, written, missing } = setup({
      stale: [
        { id: '1', signalId: 'lost', state: 'queued' },
        { id: '2', signalId: 'waits', state: 'queued' },
        { id: '3', signalId: 'lost, too', state: 'dead' },
      ],
      lookUpOutcome: async (signalId) => ({ kind: signalId === 'waits' ? 'pending' : 'missing' }),
    });

    await waitFor(() => logs.text().includes('outbox.missing'));
    await sync.close();

    expect(logs.lines()).toEqual([expect.objectContaining({ signals: 2, signalId: 'lost' })]);
    expect(missing).toEqual([2]);
    expect(written).toEqual([]);
  });

  it('rows settled long ago → deleted in batches until none is left', async () => {
    const { sync, pruned } = setup({ pruned: [1_000, 1_000, 3] });

    await waitFor(() => pruned.length === 0);
    await sync.close();
  });
});

describe('looking up an outcome in the queue', () => {
  const record: SignalRecord = {
    signalId: 's',
    typeCode: 'ApplicationComplete',
    state: 'waiting',
    acceptedAt: '2026-07-01T00:00:00.000Z',
    attempts: [],
    redrives: 0,
  };
  const attempt = {
    at: '2026-07-01T00:00:01.000Z',
    requestId: 'r',
    outcome: 'delivered' as const,
    durationMs: 500,
  };

  it.each<{ what: string; found?: SignalRecord; state?: 'delivered'; outcome: object }>([
    { what: 'unknown signal → missing', outcome: { kind: 'missing' } },
    { what: 'waiting signal → pending', found: record, outcome: { kind: 'pending' } },
    {
      what: 'retrying signal → pending',
      found: { ...record, state: 'retrying' },
      outcome: { kind: 'pending' },
    },
    {
      what: 'delivered signal → delivered, when its last attempt ended',
      found: { ...record, state: 'delivered', attempts: [attempt] },
      outcome: {
        kind: 'known',
        event: {
          signalId: 's',
          outcome: 'delivered',
          requestId: 'r',
          reason: undefined,
          at: Date.parse('2026-07-01T00:00:01.500Z'),
        },
      },
    },
    {
      what: 'dead letter → dead, with its reason',
      found: { ...record, state: 'dead', reason: 'No.' },
      outcome: {
        kind: 'known',
        event: { signalId: 's', outcome: 'dead', requestId: undefined, reason: 'No.', at: 7 },
      },
    },
    {
      what: 'signal with only a dedupe record → delivered',
      state: 'delivered',
      outcome: { kind: 'known', event: { signalId: 's', outcome: 'delivered', at: 7 } },
    },
  ])('$what', async ({ found, state, outcome }) => {
    const lookUpOutcome = createOutcomeLookup(
      { find: async () => found, stateOf: async () => state },
      () => 7,
    );

    expect(await lookUpOutcome('s')).toEqual(outcome);
  });
});
