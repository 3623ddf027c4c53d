import { RECORDS_LOCK } from './migrations.ts';

// The size limit of a signal, as in the API. PostgreSQL does not return larger values: a batch of them would
// need more memory than a relay has.
const MAX_ROW_BYTES = 1_048_576;
const MAX_BATCH_BYTES = 8 * MAX_ROW_BYTES;

const SIGNAL_COLUMNS = ['signal', 'sender', 'idempotency_key'];
const RECORD_COLUMNS = ['record', 'sender'];

// `greatest` ignores NULL.
const greatest = (columns: readonly string[], measure: (column: string) => string): string =>
  `greatest(${columns.map(measure).join(', ')})`;
const storedBytes = (columns: readonly string[]): string =>
  greatest(columns, (column) => `pg_column_size(${column})`);
const textBytes = (columns: readonly string[]): string =>
  greatest(columns, (column) => `octet_length(${column}::text)`);

/**
 * Selects as many of the locked rows as fit into one batch. It bounds their stored (compressed) size
 * first and their text size second: decompressing all locked rows, only to drop most of them, takes
 * seconds.
 */
const selectBatch = (measured: readonly string[], columns: string, lockRows: string): string => `
  WITH locked_rows AS (${lockRows}),
  stored AS (
    SELECT *, sum(least(${storedBytes(measured)}, ${MAX_ROW_BYTES})) OVER (ORDER BY id) AS stored_total,
      count(*) OVER () AS locked
    FROM locked_rows),
  measured AS (
    SELECT *, ${textBytes(measured)} AS bytes FROM stored WHERE stored_total <= ${MAX_BATCH_BYTES}),
  summed AS (
    SELECT *, sum(least(bytes, ${MAX_ROW_BYTES})) OVER (ORDER BY id) AS total FROM measured)
  SELECT id, ${columns} FROM summed WHERE total <= ${MAX_BATCH_BYTES} ORDER BY id`;

const nullIfTooLarge = (column: string): string =>
  `CASE WHEN bytes <= ${MAX_ROW_BYTES} THEN ${column} END AS ${column}`;

const IS_PENDING_RECORD = `state = 'pending' AND record IS NOT NULL`;

/**
 * Locks and selects the first `$1` pending signals, in the order of their ids. Skips rows that another
 * relay has locked, and signals whose transaction has a pending record: also one that another relay has
 * locked, because this statement sees it as pending until that relay commits. OFFSET 0 keeps the subquery
 * from becoming a join, which would sort all pending rows on a table without statistics.
 */
export const SELECT_PENDING = selectBatch(
  SIGNAL_COLUMNS,
  `${SIGNAL_COLUMNS.map(nullIfTooLarge).join(', ')},
    bytes > ${MAX_ROW_BYTES} AS "isTooLarge", locked::int`,
  `SELECT id, signal, idempotency_key, sender FROM seek_signals.outbox AS pending
   WHERE state = 'pending' AND record IS NULL AND NOT EXISTS (
     SELECT FROM seek_signals.outbox AS records
     WHERE ${IS_PENDING_RECORD} AND records.transaction_id = pending.transaction_id OFFSET 0)
   ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
);

/** The first pending record, if there is one. */
export const SELECT_FIRST_RECORD = `
  SELECT id FROM seek_signals.outbox WHERE ${IS_PENDING_RECORD} ORDER BY id LIMIT 1`;

/**
 * Locks and selects the first `$1` pending records. Selects none while another transaction moves records:
 * two at once could record two states of one position in the wrong order.
 */
export const SELECT_RECORDS = selectBatch(
  RECORD_COLUMNS,
  `${nullIfTooLarge('record')}, bytes > ${MAX_ROW_BYTES} AS "isTooLarge", created_at`,
  `SELECT id, record, sender, to_json(created_at) #>> '{}' AS created_at FROM seek_signals.outbox
   WHERE ${IS_PENDING_RECORD} AND (SELECT pg_try_advisory_xact_lock(${RECORDS_LOCK}))
   ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
);

/**
 * Locks and selects up to `$2` rows after the id `$1` that are `queued` or `dead`. Waits for rows that
 * another process has locked: if that process dies, a skipped row would be left out.
 */
export const SELECT_OPEN = selectBatch(
  SIGNAL_COLUMNS,
  'signal, idempotency_key, sender, signal_id',
  `SELECT id, signal, idempotency_key, sender, signal_id FROM seek_signals.outbox
   WHERE state IN ('queued', 'dead') AND id > $1 ORDER BY id LIMIT $2 FOR UPDATE`,
);
