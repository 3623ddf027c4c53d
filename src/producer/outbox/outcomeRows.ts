import type { OutcomeEvent } from '../../queue/backend.ts';
import { hasCode } from '../../runtime/errors.ts';
import type { Postgres } from './postgres.ts';

/** A row of which the outcome is not known yet, or may still change. */
export type Unsettled = { id: string; signalId: string; state: 'queued' | 'dead' };

// What is delivered or skipped stays so; its seek token has served. The rows are taken in hand in their
// order, as a reconciliation does: neither then waits for the other in a circle.
const WRITE_BACK = `
  UPDATE seek_signals.outbox SET state = held.outcome, request_id = held.request_id,
    reason = held.reason, changed_at = to_timestamp(held.at / 1000.0), checked_at = now(),
    signal = CASE held.outcome WHEN 'dead' THEN signal ELSE signal - 'token' END
  FROM (
    SELECT rows.id, given.* FROM seek_signals.outbox AS rows
    JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[])
      AS given (signal_id, outcome, request_id, reason, at) USING (signal_id)
    WHERE rows.state IN ('queued', 'dead') ORDER BY rows.id FOR UPDATE OF rows) AS held
  WHERE seek_signals.outbox.id = held.id
  RETURNING held.signal_id AS "signalId"`;

const LEFT = `
  SELECT id, signal_id AS "signalId", state FROM seek_signals.outbox
  WHERE state IN ('queued', 'dead') AND checked_at < now() - make_interval(secs => $1)
  ORDER BY checked_at LIMIT $2`;

const CHECKED = 'UPDATE seek_signals.outbox SET checked_at = now() WHERE id = ANY($1::bigint[])';

const PRUNE = `
  DELETE FROM seek_signals.outbox WHERE id IN (
    SELECT id FROM seek_signals.outbox
    WHERE state IN ('delivered', 'skipped') AND changed_at < now() - make_interval(secs => $1)
    LIMIT $2)
  RETURNING id`;

// No database takes a NUL, and one of an older encoding not all that SEEK, or who discards a dead letter, may
// say. What happened is told anyway: one signal's words must not keep those of others from being told.
const UNWRITABLE = ['22P05', '22021'];

/** The same rows as a ledger: what became of each signal, for as long as that is kept. */
export const createOutcomeRows = ({ query }: Pick<Postgres, 'query'>) => ({
  /** Resolves with the signals that there are rows of: of others, nothing comes. */
  writeBack: async (outcomeStream: readonly OutcomeEvent[]): Promise<ReadonlySet<string>> => {
    const last = lastOfEach(outcomeStream);
    if (last.length === 0) return new Set();
    const write = (toText = (reason: string) => reason) =>
      query<{ signalId: string }>(WRITE_BACK, [
        last.map(({ signalId }) => signalId),
        last.map(({ outcome }) => outcome),
        last.map(({ requestId }) => requestId ?? null),
        last.map(({ reason }) => (reason === undefined ? null : toText(reason))),
        last.map(({ at }) => at),
      ]);
    const rows = await write().catch((err: unknown) => {
      if (!UNWRITABLE.some((code) => hasCode(err, code))) throw err;
      return write((reason) => reason.replaceAll(/[^ -~]/g, '?'));
    });
    return new Set(rows.map(({ signalId }) => signalId));
  },

  /** Those of which nobody has told for `seconds`, the longest first. */
  leftSince: (seconds: number, limit: number): Promise<Unsettled[]> =>
    query(LEFT, [seconds, limit]),

  checked: async (ids: readonly string[]): Promise<void> => {
    if (ids.length > 0) await query(CHECKED, [ids]);
  },

  /** Removes what was settled so long ago. Resolves with how many rows that were: there may be more. */
  prune: async (seconds: number, limit: number): Promise<number> =>
    (await query(PRUNE, [seconds, limit])).length,
});

export type OutcomeRows = ReturnType<typeof createOutcomeRows>;

/** A signal may die, or be skipped for want of a token, and be delivered after all. Nothing follows that. */
const lastOfEach = (outcomeStream: readonly OutcomeEvent[]): OutcomeEvent[] => {
  const last = new Map<string, OutcomeEvent>();
  for (const settlement of outcomeStream) {
    const known = last.get(settlement.signalId);
    if (known?.outcome !== 'delivered') last.set(settlement.signalId, settlement);
  }
  return [...last.values()];
};
