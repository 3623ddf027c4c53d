import { messageOf } from '../../runtime/errors.ts';
import type { SignalState } from '../../schemas/signalRecord.ts';
import { openPostgres, type PoolClient, type Postgres } from './postgres.ts';

/** What the ATS has written, and the relay has in hand. */
export type Taken = {
  id: string;
  signal: unknown;
  idempotencyKey: string | undefined;
  sender: string;
};

/** What became of it. */
export type Relayed =
  | { kind: 'queued'; id: string; signalId: string; state: SignalState }
  /** It can't be sent, and waits for somebody to look at it. */
  | { kind: 'rejected'; id: string; reason: string };

export type OutboxReading = {
  pending: number;
  rejected: number;
  /** Age of the oldest row that no relay has moved. */
  lagSeconds: number;
};

const TOO_LARGE = 'The signal is over 1 MiB';

const REMOVE = 'DELETE FROM seek_signals.outbox WHERE id = ANY($1::bigint[])';

// One that was sent before is settled from the start, and its seek token has served here as well.
const KEEP = `
  UPDATE seek_signals.outbox SET signal_id = given.signal_id, state = given.state,
    signal = CASE WHEN given.state IN ('delivered', 'skipped') THEN signal - 'token' ELSE signal END,
    changed_at = now(), checked_at = now()
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS given (id, signal_id, state)
  WHERE seek_signals.outbox.id = given.id`;

const REJECT = `
  UPDATE seek_signals.outbox SET state = 'rejected', reason = given.reason, changed_at = now()
  FROM unnest($1::bigint[], $2::text[]) AS given (id, reason)
  WHERE seek_signals.outbox.id = given.id`;

// To count millions takes a while, and to know that they are very many is enough.
const MOST_COUNTED = 100_000;
const COUNT = (state: string) =>
  `(SELECT count(*) FROM (SELECT FROM seek_signals.outbox WHERE state = '${state}' LIMIT ${MOST_COUNTED}) AS counted)`;

const READ = `
  SELECT ${COUNT('pending')} AS pending, ${COUNT('rejected')} AS rejected,
    coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at) FROM seek_signals.outbox
      WHERE state = 'pending' ORDER BY id LIMIT 1), 0) AS lag`;

/** The rows in the ATS's database, as a relay sees them. */
export const createOutboxStore = (
  { query, transaction }: Pick<Postgres, 'query' | 'transaction'>,
  isLedger = false,
) => ({
  /**
   * Hands the first pending rows to `relay`, and writes down what it says became of them, in one
   * transaction: if anything fails or dies before its end, they are pending again. Up to `limit` of them, and
   * fewer large ones. Resolves with whether there may be more.
   */
  move: (limit: number, relay: (taken: Taken[]) => Promise<Relayed[]>): Promise<boolean> =>
    transaction(async (client) => {
      const { rows } = await client.query<PendingRow>(TAKE, [limit]);
      const tooLarge = rows.filter(({ isTooLarge }) => isTooLarge);
      const taken = rows.filter(({ isTooLarge }) => !isTooLarge).map(toTaken);
      const relayed = taken.length === 0 ? [] : await relay(taken);
      const rejected = tooLarge.map(({ id }) => ({
        kind: 'rejected' as const,
        id,
        reason: TOO_LARGE,
      }));
      await writeDown(client, [...relayed, ...rejected], isLedger);
      const held = rows[0]?.held ?? 0;
      return held === limit || rows.length < held;
    }),

  /**
   * Hands a page of the rows that went into the queue to `consider`, as `move` does: up to `limit`, and fewer
   * large ones. Resolves with where the next page begins; `undefined` behind the last.
   */
  reconsider: (
    after: string,
    limit: number,
    consider: (taken: (Taken & { signalId: string })[]) => Promise<Relayed[]>,
  ): Promise<string | undefined> =>
    transaction(async (client) => {
      const { rows } = await client.query<Row & { signal_id: string }>(RECONSIDER, [after, limit]);
      const taken = rows.map((row) => ({ ...toTaken(row), signalId: row.signal_id }));
      await writeDown(client, await consider(taken), true);
      return rows.at(-1)?.id;
    }),

  ping: () => query('SELECT'),

  read: async (): Promise<OutboxReading> => {
    const [row] = await query<Record<'pending' | 'rejected' | 'lag', string>>(READ);
    const { pending = 0, rejected = 0, lag = 0 } = row ?? {};
    return {
      pending: Number(pending),
      rejected: Number(rejected),
      lagSeconds: Math.max(0, Math.round(Number(lag))),
    };
  },
});

const SETTLED: ReadonlySet<SignalState> = new Set(['delivered', 'skipped', 'dead']);
const isSettled = (state: SignalState): boolean => SETTLED.has(state);

export type OutboxStore = ReturnType<typeof createOutboxStore>;

type Row = { id: string; signal: unknown; idempotency_key: string | null; sender: string };

type PendingRow = Row & { isTooLarge: boolean; held: number };

const toTaken = ({ id, signal, sender, idempotency_key: key }: Row): Taken => ({
  ...{ id, signal, sender, idempotencyKey: key ?? undefined },
});

const writeDown = async (
  client: PoolClient,
  relayed: Relayed[],
  isLedger: boolean,
): Promise<void> => {
  const queued = relayed.filter((one) => one.kind === 'queued');
  if (queued.length > 0 && isLedger) {
    await client.query(KEEP, [
      queued.map(({ id }) => id),
      queued.map(({ signalId }) => signalId),
      queued.map(({ state }) => (isSettled(state) ? state : 'queued')),
    ]);
  } else if (queued.length > 0) {
    await client.query(REMOVE, [queued.map(({ id }) => id)]);
  }
  const rejected = relayed.filter((one) => one.kind === 'rejected');
  if (rejected.length > 0) {
    await client.query(REJECT, [
      rejected.map(({ id }) => id),
      rejected.map(({ reason }) => reason),
    ]);
  }
};

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

export type OutboxRead =
  | { kind: 'read'; reading: OutboxReading }
  | { kind: 'unreadable'; reason: string };

/** One look at the outbox, on a connection of its own. */
export const readOutbox = async (databaseUrl: string): Promise<OutboxRead> => {
  const postgres = await openPostgres(databaseUrl, 1);
  try {
    return { kind: 'read', reading: await createOutboxStore(postgres).read() };
  } catch (err) {
    return { kind: 'unreadable', reason: messageOf(err) };
  } finally {
    await postgres.close();
  }
};
