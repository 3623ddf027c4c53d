// The size limit of a signal, as in the API. PostgreSQL does not return larger values: a batch of them would
// need more memory than a relay has.
const MAX_ROW_BYTES = 1_048_576;
const MAX_BATCH_BYTES = 8 * MAX_ROW_BYTES;

// `greatest` and `least` ignore NULL.
const STORED_BYTES =
  'greatest(pg_column_size(signal), pg_column_size(sender), pg_column_size(idempotency_key))';
const TEXT_BYTES =
  'greatest(octet_length(signal::text), octet_length(sender), octet_length(idempotency_key))';

/**
 * Selects as many of the locked rows as fit into one batch. It bounds their stored (compressed) size
 * first and their text size second: decompressing all locked rows, only to drop most of them, takes
 * seconds.
 */
const selectBatch = (columns: string, lockRows: string): string => `
  WITH locked_rows AS (${lockRows}),
  stored AS (
    SELECT *, sum(least(${STORED_BYTES}, ${MAX_ROW_BYTES})) OVER (ORDER BY id) AS stored_total,
      count(*) OVER () AS locked
    FROM locked_rows),
  measured AS (SELECT *, ${TEXT_BYTES} AS bytes FROM stored WHERE stored_total <= ${MAX_BATCH_BYTES}),
  summed AS (
    SELECT *, sum(least(bytes, ${MAX_ROW_BYTES})) OVER (ORDER BY id) AS total FROM measured)
  SELECT id, ${columns} FROM summed WHERE total <= ${MAX_BATCH_BYTES} ORDER BY id`;

const nullIfTooLarge = (column: string): string =>
  `CASE WHEN bytes <= ${MAX_ROW_BYTES} THEN ${column} END AS ${column}`;

/**
 * Locks and selects the first `$1` pending rows, in the order of their ids. Skips rows that another
 * relay has locked.
 */
export const SELECT_PENDING = selectBatch(
  `${['signal', 'idempotency_key', 'sender'].map(nullIfTooLarge).join(', ')},
    bytes > ${MAX_ROW_BYTES} AS "isTooLarge", locked::int`,
  `SELECT id, signal, idempotency_key, sender FROM seek_signals.outbox
   WHERE state = 'pending' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
);

/**
 * Locks and selects up to `$2` rows after the id `$1` that are `queued` or `dead`. Waits for rows that
 * another process has locked: if that process dies, a skipped row would be left out.
 */
export const SELECT_OPEN = selectBatch(
  'signal, idempotency_key, sender, signal_id',
  `SELECT id, signal, idempotency_key, sender, signal_id FROM seek_signals.outbox
   WHERE state IN ('queued', 'dead') AND id > $1 ORDER BY id LIMIT $2 FOR UPDATE`,
);
