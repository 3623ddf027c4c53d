import { createThrottle, type Logger } from '../../observability/logger.ts';
import { hasCode } from '../../runtime/errors.ts';
import type { Enqueue } from '../enqueue.ts';
import { InvalidSignalError } from '../errors.ts';
import type { RecordIdentifiers } from '../recordIdentifiers.ts';
import { MIGRATIONS } from './migrations.ts';
import { recordAll } from './records.ts';
import type { LockedRecord, LockedRow, OutboxStore, RecordResult, RowResult } from './rows.ts';

// The queue accepts this many well within its time limit.
const MAX_BATCH_SIZE = 500;
// They are recorded at the same time, under one time limit.
const MAX_RECORDS = 50;
// While one loop waits for the database, the other one waits for the queue.
const LOOPS = 2;
const POLL_INTERVAL_MS = 1_000;
const MIN_RETRY_MS = 200;
const MAX_RETRY_MS = 5_000;
const WARN_INTERVAL_MS = 60_000;

type Deps = {
  store: Pick<OutboxStore, 'move' | 'moveRecords'>;
  enqueue: Enqueue;
  recordMany: RecordIdentifiers['recordMany'];
  logger: Logger;
  metrics: {
    relayed: { inc: (by: number) => void };
    outboxRejected: { inc: () => void };
  };
  /** Set if the outcomes of the signals are tracked. */
  reportTo?: 'outbox' | undefined;
  pollMs?: number;
};

/**
 * Moves committed rows of the outbox into the queue, the records of a transaction before its signals. A row
 * leaves the outbox only after the queue has acknowledged its record or signal. If the relay crashes in between, the row is moved again, and the queue
 * recognises the duplicate.
 */
export const createRelay = ({ store, enqueue, recordMany, logger, metrics, ...deps }: Deps) => {
  const { reportTo, pollMs = POLL_INTERVAL_MS } = deps;
  let isStopped = false;
  let lastActivityAt = performance.now();
  const shouldWarn = createThrottle(WARN_INTERVAL_MS);
  const waiters = createWaiters();

  const count = (results: readonly (RowResult | RecordResult)[]): void => {
    for (const result of results) {
      if (result.kind !== 'rejected') continue;
      metrics.outboxRejected.inc();
      logger.warn({ row: result.id, reason: result.reason }, 'outbox.rejected');
    }
    metrics.relayed.inc(results.filter(({ kind }) => kind !== 'rejected').length);
  };

  const relay = async (rows: LockedRow[]): Promise<RowResult[]> => {
    const results = await relayAll(enqueue, rows, reportTo);
    count(results);
    return results;
  };

  /** A record that cannot be moved does not delay the signals of other transactions. */
  const moveRecords = async (): Promise<{ hasMoved: boolean; failure?: unknown }> => {
    let failure: unknown;
    const record = async (rows: LockedRecord[]): Promise<RecordResult[]> => {
      const recorded = await recordAll(recordMany, rows);
      failure = recorded.failure;
      count(recorded.results);
      return recorded.results;
    };
    const hasMoved = await store.moveRecords(MAX_RECORDS, record);
    return { hasMoved, failure };
  };

  const warn = (err: unknown): void => {
    if (shouldWarn()) {
      logger.warn({ reason: reasonOf(err) }, 'Failed to move outbox rows; will retry');
    }
  };

  /**
   * Resolves with whether more rows may be pending. After records were moved they may: another loop or
   * relay may have passed over later records and over the signals that waited for these.
   */
  const pass = async (): Promise<boolean> => {
    const { hasMoved, failure } = await moveRecords();
    const hasMore = (await store.move(MAX_BATCH_SIZE, relay)) || hasMoved;
    if (failure === undefined) return hasMore;
    if (!hasMore) throw failure;
    warn(failure);
    return true;
  };

  const run = async (): Promise<void> => {
    let retryMs = MIN_RETRY_MS;
    while (!isStopped) {
      lastActivityAt = performance.now();
      try {
        const hasMore = await pass();
        retryMs = MIN_RETRY_MS;
        if (hasMore) waiters.wakeOne();
        else if (!isStopped && !waiters.wasWoken()) await waiters.wait(pollMs);
        waiters.clearWoken();
      } catch (err) {
        warn(err);
        if (!isStopped) await waiters.wait(retryMs);
        retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
      }
    }
  };
  const running = Promise.all(Array.from({ length: LOOPS }, run));

  return {
    /** Call it when rows were committed: one loop then looks for rows at once. */
    wake: waiters.wakeOne,
    /** When a loop last started a pass, by `performance.now()`. */
    lastActivityAt: () => lastActivityAt,
    /** Resolves when the batches in flight are done. */
    close: async (): Promise<void> => {
      isStopped = true;
      waiters.wakeAll();
      await running;
    },
  };
};

export type Relay = ReturnType<typeof createRelay>;

/** The idle loops of a relay. */
const createWaiters = () => {
  const waiting = new Set<() => void>();
  // A wake-up that came while no loop waited. Without it, a row committed meanwhile would wait for the
  // next poll.
  let isWoken = false;

  return {
    wait: (ms: number): Promise<void> =>
      new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        waiting.add(wake);
      }),
    /** Wakes only one loop, because there may be only one row. That loop wakes the next if there are more. */
    wakeOne: (): void => {
      const [wake] = waiting;
      if (wake === undefined) isWoken = true;
      else wake();
    },
    wakeAll: (): void => {
      for (const wake of [...waiting]) wake();
    },
    wasWoken: () => isWoken,
    clearWoken: (): void => {
      isWoken = false;
    },
  };
};

// invalid_schema_name, undefined_table, undefined_column
const MISSING_CODES = ['3F000', '42P01', '42703'];

/** Only the code of a database error: its message may quote the row, and so a token. */
const reasonOf = (err: unknown): string => {
  if (!(err instanceof Error)) return 'unknown';
  if (MISSING_CODES.some((code) => hasCode(err, code))) {
    return `The outbox is not of version ${MIGRATIONS.length}: run "seek-signals outbox migrate"`;
  }
  const code = 'code' in err ? ` ${String(err.code)}` : '';
  return err.name === 'QueueUnavailableError' ? err.message : `${err.name}${code}`;
};

/**
 * Enqueues the signals of the rows. Rows of one sender without an idempotency key share a call; each
 * row with a key has its own, because a key applies to one signal.
 */
export const relayAll = async (
  enqueue: Enqueue,
  rows: readonly LockedRow[],
  reportTo: 'outbox' | undefined,
): Promise<RowResult[]> => {
  const groups = new Map<string, LockedRow[]>();
  for (const row of rows) {
    const name = row.idempotencyKey === undefined ? `sender ${row.sender}` : `row ${row.id}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  const results = await Promise.all(
    [...groups.values()].map((group) => relayGroup(enqueue, group, reportTo)),
  );
  return results.flat();
};

const relayGroup = async (
  enqueue: Enqueue,
  group: LockedRow[],
  reportTo: 'outbox' | undefined,
): Promise<RowResult[]> => {
  const { sender = '', idempotencyKey } = group[0] ?? {};
  const results = await enqueue(
    group.map(({ signal }) => signal),
    // The transaction that wrote the row has committed, so the ATS counts on the signal.
    { from: sender, idempotencyKey, reportTo, anySize: true },
  );
  return group.map(({ id }, index): RowResult => {
    const result = results[index];
    if (result === undefined) throw new Error('enqueue returned no result for an outbox row');
    if (result instanceof Error) return { kind: 'rejected', id, reason: rejectionOf(result) };
    const { signalId, state } = result;
    return { kind: 'queued', id, signalId, state };
  });
};

const rejectionOf = (error: Error): string =>
  error instanceof InvalidSignalError ? JSON.stringify(error.invalidFields) : error.message;
