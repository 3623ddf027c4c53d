import { messageOf } from '../../runtime/errors.ts';
import { isObject } from '../../schemas/json.ts';
import type { SignalState } from '../../schemas/signalRecord.ts';
import { openPostgres, type PoolClient, type Postgres } from './postgres.ts';
import { toRejectedRecord } from './records.ts';
import { SELECT_FIRST_RECORD, SELECT_OPEN, SELECT_PENDING, SELECT_RECORDS } from './selectRows.ts';

/** A row of the outbox that this transaction has locked. */
export type LockedRow = {
  id: string;
  signal: unknown;
  idempotencyKey: string | undefined;
  sender: string;
};

/** A locked row whose signal was in the queue before. */
export type OpenLockedRow = LockedRow & { signalId: string };

/** A row that holds a record, and that this transaction has locked. */
export type LockedRecord = { id: string; record: unknown };

/** What became of a record. One without a result stays pending. */
export type RecordResult =
  | { kind: 'recorded'; id: string }
  /** The record is invalid. The row stays, without its seek token, until an operator corrects or deletes it. */
  | { kind: 'rejected'; id: string; reason: string };

/** What the queue answered for a row. */
export type RowResult =
  | { kind: 'queued'; id: string; signalId: string; state: SignalState }
  /** The signal is invalid. The row stays until an operator corrects or deletes it. */
  | { kind: 'rejected'; id: string; reason: string };

export type OutboxReading = {
  /** Counts stop at 100,000. */
  pending: number;
  rejected: number;
  /** Age of the oldest pending row. */
  lagSeconds: number;
};

const TOO_LARGE = 'The signal is over 1 MiB';
const RECORD_TOO_LARGE = 'The record is over 1 MiB';

const DELETE_ROWS = 'DELETE FROM seek_signals.outbox WHERE id = ANY($1::bigint[])';

// A duplicate may be settled already: its row gets that state, and no longer needs its seek token.
const SET_QUEUED = `
  UPDATE seek_signals.outbox SET signal_id = given.signal_id, state = given.state,
    signal = CASE WHEN given.state IN ('delivered', 'skipped') THEN signal - 'token' ELSE signal END,
    changed_at = now(), checked_at = now()
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS given (id, signal_id, state)
  WHERE seek_signals.outbox.id = given.id`;

const SET_REJECTED = `
  UPDATE seek_signals.outbox SET state = 'rejected', reason = given.reason, changed_at = now()
  FROM unnest($1::bigint[], $2::text[]) AS given (id, reason)
  WHERE seek_signals.outbox.id = given.id`;

const SET_RECORD_REJECTED = `
  UPDATE seek_signals.outbox
  SET state = 'rejected', reason = given.reason, record = given.record, changed_at = now()
  FROM unnest($1::bigint[], $2::text[], $3::jsonb[]) AS given (id, reason, record)
  WHERE seek_signals.outbox.id = given.id`;

// Counting millions of rows is slow, and no alert needs the exact number.
const MAX_COUNT = 100_000;
const countRows = (state: string) =>
  `(SELECT count(*) FROM (SELECT FROM seek_signals.outbox WHERE state = '${state}' LIMIT ${MAX_COUNT}) AS counted)`;

const SELECT_READING = `
  SELECT ${countRows('pending')} AS pending, ${countRows('rejected')} AS rejected,
    coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at) FROM seek_signals.outbox
      WHERE state = 'pending' ORDER BY id LIMIT 1), 0) AS lag`;

/**
 * The rows of the outbox in the ATS's database. With `tracksOutcomes`, a row stays after its signal was
 * queued; otherwise it is deleted.
 */
export const createOutboxStore = (
  { query, transaction }: Pick<Postgres, 'query' | 'transaction'>,
  tracksOutcomes = false,
) => ({
  /**
   * Locks the first pending rows, passes them to `relay` and records its results, all in one transaction. If
   * anything fails, the rows stay pending. Locks at most `limit` rows, and fewer if they are large.
   * Resolves with whether more rows may be pending.
   */
  move: (limit: number, relay: (rows: LockedRow[]) => Promise<RowResult[]>): Promise<boolean> =>
    transaction(async (client) => {
      const { rows } = await client.query<PendingRow>(SELECT_PENDING, [limit]);
      const tooLarge = rows.filter(({ isTooLarge }) => isTooLarge);
      const fitting = rows.filter(({ isTooLarge }) => !isTooLarge).map(toLockedRow);
      const relayed = fitting.length === 0 ? [] : await relay(fitting);
      const rejected = tooLarge.map(
        ({ id }): RowResult => ({ kind: 'rejected', id, reason: TOO_LARGE }),
      );
      await recordResults(client, [...relayed, ...rejected], tracksOutcomes);
      const locked = rows[0]?.locked ?? 0;
      return locked === limit || rows.length < locked;
    }),

  /**
   * Locks the first pending records, passes them to `record` and applies its results, all in one
   * transaction. A recorded row is deleted, with outcome tracking too. Does nothing while another
   * transaction moves records. Resolves with whether rows left the pending state.
   */
  moveRecords: async (
    limit: number,
    record: (rows: LockedRecord[]) => Promise<RecordResult[]>,
  ): Promise<boolean> => {
    // Without a transaction: most outboxes have no record most of the time.
    if ((await query(SELECT_FIRST_RECORD)).length === 0) return false;
    return transaction(async (client) => {
      const { rows } = await client.query<RecordRow>(SELECT_RECORDS, [limit]);
      const tooLarge = rows.filter(({ isTooLarge }) => isTooLarge);
      const fitting = rows.filter(({ isTooLarge }) => !isTooLarge).map(toLockedRecord);
      const recorded = fitting.length === 0 ? [] : await record(fitting);
      const rejected = tooLarge.map(
        ({ id }): RecordResult => ({ kind: 'rejected', id, reason: RECORD_TOO_LARGE }),
      );
      const results = [...recorded, ...rejected];
      await applyRecordResults(client, results, fitting);
      return results.length > 0;
    });
  },

  /**
   * Locks the rows after the id `after` whose signals were queued and are not settled, passes them to `relay`
   * and records its results, as `move` does. Resolves with the `after` of the next page, or with
   * `undefined` after the last page.
   */
  recheck: (
    after: string,
    limit: number,
    relay: (rows: OpenLockedRow[]) => Promise<RowResult[]>,
  ): Promise<string | undefined> =>
    transaction(async (client) => {
      const { rows } = await client.query<OpenRow>(SELECT_OPEN, [after, limit]);
      const locked = rows.map((row) => ({ ...toLockedRow(row), signalId: row.signal_id }));
      await recordResults(client, await relay(locked), true);
      return rows.at(-1)?.id;
    }),

  ping: () => query('SELECT'),

  read: async (): Promise<OutboxReading> => {
    const [row] = await query<Record<'pending' | 'rejected' | 'lag', string>>(SELECT_READING);
    const { pending = 0, rejected = 0, lag = 0 } = row ?? {};
    return {
      pending: Number(pending),
      rejected: Number(rejected),
      lagSeconds: Math.max(0, Math.round(Number(lag))),
    };
  },
});

export type OutboxStore = ReturnType<typeof createOutboxStore>;

type Row = { id: string; signal: unknown; idempotency_key: string | null; sender: string };
type OpenRow = Row & { signal_id: string };
/** `locked`: how many rows the statement locked, also those that it did not return. */
type PendingRow = Row & { isTooLarge: boolean; locked: number };

/** `created_at` is RFC 3339. */
type RecordRow = { id: string; record: unknown; isTooLarge: boolean; created_at: string };

/** A token without a time was received when its row was written, and not when the relay takes it. */
const toLockedRecord = ({ id, record, created_at: createdAt }: RecordRow): LockedRecord => ({
  id,
  record:
    isObject(record) && 'token' in record && (record.receivedAt ?? null) === null
      ? { ...record, receivedAt: createdAt }
      : record,
});

const toLockedRow = ({ id, signal, sender, idempotency_key: key }: Row): LockedRow => ({
  id,
  signal,
  sender,
  idempotencyKey: key ?? undefined,
});

const RECORDED_STATES: ReadonlySet<SignalState> = new Set(['delivered', 'skipped', 'dead']);

const recordResults = async (
  client: PoolClient,
  results: RowResult[],
  tracksOutcomes: boolean,
): Promise<void> => {
  const queued = results.filter((result) => result.kind === 'queued');
  if (queued.length > 0 && tracksOutcomes) {
    await client.query(SET_QUEUED, [
      queued.map(({ id }) => id),
      queued.map(({ signalId }) => signalId),
      queued.map(({ state }) => (RECORDED_STATES.has(state) ? state : 'queued')),
    ]);
  } else if (queued.length > 0) {
    await client.query(DELETE_ROWS, [queued.map(({ id }) => id)]);
  }
  const rejected = results.filter((result) => result.kind === 'rejected');
  if (rejected.length > 0) {
    await client.query(SET_REJECTED, [
      rejected.map(({ id }) => id),
      rejected.map(({ reason }) => reason),
    ]);
  }
};

const applyRecordResults = async (
  client: PoolClient,
  results: readonly RecordResult[],
  rows: readonly LockedRecord[],
): Promise<void> => {
  const recorded = results.filter(({ kind }) => kind === 'recorded');
  if (recorded.length > 0) await client.query(DELETE_ROWS, [recorded.map(({ id }) => id)]);
  const rejected = results.filter((result) => result.kind === 'rejected');
  if (rejected.length === 0) return;
  const given = new Map(rows.map(({ id, record }) => [id, record]));
  await client.query(SET_RECORD_REJECTED, [
    rejected.map(({ id }) => id),
    rejected.map(({ reason }) => reason),
    rejected.map(({ id }) => JSON.stringify(toRejectedRecord(given.get(id)))),
  ]);
};

type OutboxRead = { kind: 'read'; reading: OutboxReading } | { kind: 'unreadable'; reason: string };

/** Reads the outbox once, over a connection of its own. */
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
