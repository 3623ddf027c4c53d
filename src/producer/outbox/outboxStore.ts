import type { SignalState } from '../../schemas/states.ts';
import type { PoolClient, Postgres } from './postgres.ts';
import { RECONSIDER, TAKE } from './takeRows.ts';

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
