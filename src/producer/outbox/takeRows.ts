// As the API has it. What is larger, its sender or its key included, is not even read: with some of them in hand a
// relay would need more memory than it is given.
const MOST_BYTES = 1_048_576;
const MOST_BYTES_AT_ONCE = 8 * MOST_BYTES;

// Of `greatest` and `least`, NULL is neither.
const LYING =
  'greatest(pg_column_size(signal), pg_column_size(sender), pg_column_size(idempotency_key))';
const BYTES =
  'greatest(octet_length(signal::text), octet_length(sender), octet_length(idempotency_key))';

// As many of the rows that are held as can be carried. Those are looked for by what they take up where they lie
// at first: to unpack all of them, only to leave the most, takes seconds.
const carry = (columns: string, held: string): string => `
  WITH held AS (${held}),
  lying AS (
    SELECT *, sum(least(${LYING}, ${MOST_BYTES})) OVER (ORDER BY id) AS lying, count(*) OVER () AS held
    FROM held),
  measured AS (SELECT *, ${BYTES} AS bytes FROM lying WHERE lying <= ${MOST_BYTES_AT_ONCE}),
  summed AS (
    SELECT *, sum(least(bytes, ${MOST_BYTES})) OVER (ORDER BY id) AS total FROM measured)
  SELECT id, ${columns} FROM summed WHERE total <= ${MOST_BYTES_AT_ONCE} ORDER BY id`;

const ifNotTooLarge = (column: string): string =>
  `CASE WHEN bytes <= ${MOST_BYTES} THEN ${column} END AS ${column}`;

// In the order in which they were written; what other relays have in hand is passed over.
export const TAKE = carry(
  `${['signal', 'idempotency_key', 'sender'].map(ifNotTooLarge).join(', ')},
    bytes > ${MOST_BYTES} AS "isTooLarge", held::int`,
  `SELECT id, signal, idempotency_key, sender FROM seek_signals.outbox
   WHERE state = 'pending' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
);

// What others have in hand is waited for: passed over, it might be nobody's should they die.
export const RECONSIDER = carry(
  'signal, idempotency_key, sender, signal_id',
  `SELECT id, signal, idempotency_key, sender, signal_id FROM seek_signals.outbox
   WHERE state IN ('queued', 'dead') AND id > $1 ORDER BY id LIMIT $2 FOR UPDATE`,
);
