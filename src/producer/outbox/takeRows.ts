// As the API has it. What is larger is not even read: with some of them in hand a relay would need more memory
// than it is given.
const MOST_BYTES = 1_048_576;
const MOST_BYTES_AT_ONCE = 8 * MOST_BYTES;

const IS_TOO_LARGE = `bytes > ${MOST_BYTES}`;

// As many of the rows that are held as can be carried. Those are looked for by what they take up where they lie
// at first: to unpack all of them, only to leave the most, takes seconds.
const carry = (columns: string, held: string): string => `
  WITH held AS (${held}),
  lying AS (
    SELECT *, sum(least(pg_column_size(signal), ${MOST_BYTES})) OVER (ORDER BY id) AS lying,
      count(*) OVER () AS held
    FROM held),
  measured AS (
    SELECT *, octet_length(signal::text) + octet_length(sender)
      + coalesce(octet_length(idempotency_key), 0) AS bytes
    FROM lying WHERE lying <= ${MOST_BYTES_AT_ONCE}),
  summed AS (
    SELECT *, sum(least(bytes, ${MOST_BYTES})) OVER (ORDER BY id) AS total FROM measured)
  SELECT id, idempotency_key, sender, ${columns} FROM summed
  WHERE total <= ${MOST_BYTES_AT_ONCE} ORDER BY id`;

// In the order in which they were written; what other relays have in hand is passed over.
export const TAKE = carry(
  `CASE WHEN NOT ${IS_TOO_LARGE} THEN signal END AS signal, ${IS_TOO_LARGE} AS "isTooLarge", held::int`,
  `SELECT id, signal, idempotency_key, sender FROM seek_signals.outbox
   WHERE state = 'pending' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
);

// What others have in hand is waited for: passed over, it might be nobody's should they die.
export const RECONSIDER = carry(
  'signal, signal_id',
  `SELECT id, signal, idempotency_key, sender, signal_id FROM seek_signals.outbox
   WHERE state IN ('queued', 'dead') AND id > $1 ORDER BY id LIMIT $2 FOR UPDATE`,
);
