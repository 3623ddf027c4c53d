import type { Logger } from '../../observability/logger.ts';
import { createThrottle } from '../../observability/logger.ts';
import type { OutcomeEvent, OutcomeStream, StreamedOutcome } from '../../queue/backend.ts';
import type { OpenRow, OutcomeRows } from './outcomeRows.ts';
import { knownOutcomes, type OutcomeLookup } from './reconcile.ts';

const MAX_EVENTS = 1_000;
const SYNC_INTERVAL_MS = 500;
// A row without an outcome event for this long is looked up in the queue.
const LOOK_UP_AFTER_SECONDS = 300;
const MAX_LOOKUPS = 500;
const MAINTENANCE_INTERVAL_MS = 30_000;
const MAX_EARLY_MS = 60_000;
const WARN_INTERVAL_MS = 60_000;

type Deps = {
  outcomeStream: OutcomeStream;
  outcomeRows: OutcomeRows;
  lookUpOutcome: OutcomeLookup;
  /** How long a row stays after its signal is settled. */
  keepMs: number;
  logger: Logger;
  metrics: { outboxMissing: { inc: (by: number) => void } };
  syncIntervalMs?: number;
  lookUpAfterSeconds?: number;
  maintenanceIntervalMs?: number;
  now?: () => number;
};

/**
 * Records the outcomes of signals in the outbox rows. Takes them from the events that workers publish,
 * and looks up rows that got no event. Deletes rows that were settled over `keepMs` ago.
 */
export const syncOutcomes = ({
  syncIntervalMs = SYNC_INTERVAL_MS,
  lookUpAfterSeconds = LOOK_UP_AFTER_SECONDS,
  maintenanceIntervalMs = MAINTENANCE_INTERVAL_MS,
  now = Date.now,
  ...deps
}: Deps) => {
  const { outcomeStream, outcomeRows, lookUpOutcome, keepMs, logger } = deps;
  let isStopped = false;
  const shouldWarn = createThrottle(WARN_INTERVAL_MS);
  let maintainedAt = Number.NEGATIVE_INFINITY;

  const recordEvents = async (): Promise<void> => {
    for (;;) {
      const streamed = await outcomeStream.take(MAX_EVENTS);
      const isTrue = await Promise.all(
        streamed.map(({ event }) => isCurrent(lookUpOutcome, event)),
      );
      const current = streamed.filter((_, index) => isTrue[index]);
      const written = await outcomeRows.recordOutcomes(current.map(({ event }) => event));
      // A worker may deliver a signal before the relay has committed that its row is queued. Such an event is
      // left in the stream, which returns it later.
      const isEarly = ({ event: { signalId, at } }: StreamedOutcome) =>
        !written.has(signalId) && at >= now() - MAX_EARLY_MS;
      const early = new Set(current.filter(isEarly));
      const done = streamed.filter((one) => !early.has(one)).map(({ id }) => id);
      await outcomeStream.acknowledge(done);
      if (done.length < MAX_EVENTS || isStopped) return;
    }
  };

  const maintain = async (): Promise<void> => {
    maintainedAt = performance.now();
    await lookUp(deps, await outcomeRows.findStale(lookUpAfterSeconds, MAX_LOOKUPS));
    while ((await outcomeRows.prune(keepMs / 1_000, MAX_EVENTS)) === MAX_EVENTS && !isStopped);
  };

  const sync = async (): Promise<void> => {
    try {
      await recordEvents();
      if (performance.now() - maintainedAt >= maintenanceIntervalMs) await maintain();
    } catch (err) {
      if (!shouldWarn()) return;
      const reason = err instanceof Error && 'code' in err ? String(err.code) : 'unknown';
      logger.warn({ reason }, 'Failed to sync outbox outcomes; will retry');
    }
  };

  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= sync().finally(() => {
      running = undefined;
    });
  }, syncIntervalMs);

  return {
    close: async (): Promise<void> => {
      isStopped = true;
      clearInterval(timer);
      await running;
    },
  };
};

/**
 * Whether the event is still true. A signal that was skipped as `no-token` may have been enqueued again by
 * another row. Recording `skipped` then would hide it from `reconcile` if the queue lost it.
 */
const isCurrent = async (
  lookUpOutcome: OutcomeLookup,
  { signalId, outcome }: OutcomeEvent,
): Promise<boolean> => {
  if (outcome !== 'skipped') return true;
  const found = await lookUpOutcome(signalId);
  if (found.kind === 'known') return found.event.outcome === outcome;
  return found.kind === 'missing';
};

/**
 * Looks up rows in the queue, records the outcomes that it knows, and reports the signals that it has
 * lost.
 */
const lookUp = async (
  {
    lookUpOutcome,
    outcomeRows,
    metrics,
    logger,
  }: Pick<Deps, 'lookUpOutcome' | 'outcomeRows' | 'metrics' | 'logger'>,
  rows: readonly OpenRow[],
): Promise<void> => {
  const found = await Promise.all(rows.map(({ signalId }) => lookUpOutcome(signalId)));
  await outcomeRows.recordOutcomes(knownOutcomes(found));
  await outcomeRows.markChecked(rows.map(({ id }) => id));
  const [first, ...more] = rows.filter((_, index) => found[index]?.kind === 'missing');
  if (first === undefined) return;
  const signals = 1 + more.length;
  metrics.outboxMissing.inc(signals);
  logger.warn({ signals, signalId: first.signalId }, 'outbox.missing');
};
