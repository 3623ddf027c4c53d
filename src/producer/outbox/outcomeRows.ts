import type { OutcomeEvent } from '../../queue/backend.ts';
import { hasCode } from '../../runtime/errors.ts';
import type { Postgres } from './postgres.ts';

/** A row whose outcome is unknown (`queued`), or may still change (`dead`). */
export type OpenRow = { id: string; signalId: string; state: 'queued' | 'dead' };

// `delivered` and `skipped` are final: the row no longer needs its seek token. Rows are locked in the order
// of their ids, as `reconcile` does. Another order could deadlock the two.
const RECORD_OUTCOMES = `
  UPDATE seek_signals.outbox SET state = locked.outcome, request_id = locked.request_id,
    reason = locked.reason, changed_at = to_timestamp(locked.at / 1000.0), checked_at = now(),
    signal = CASE locked.outcome WHEN 'dead' THEN signal ELSE signal - 'token' END
  FROM (
    SELECT rows.id, given.* FROM seek_signals.outbox AS rows
    JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[])
      AS given (signal_id, outcome, request_id, reason, at) USING (signal_id)
    WHERE rows.state IN ('queued', 'dead') ORDER BY rows.id FOR UPDATE OF rows) AS locked
  WHERE seek_signals.outbox.id = locked.id
  RETURNING locked.signal_id AS "signalId"`;

const FIND_STALE = `
  SELECT id, signal_id AS "signalId", state FROM seek_signals.outbox
  WHERE state IN ('queued', 'dead') AND checked_at < now() - make_interval(secs => $1)
  ORDER BY checked_at LIMIT $2`;

const MARK_CHECKED =
  'UPDATE seek_signals.outbox SET checked_at = now() WHERE id = ANY($1::bigint[])';

const PRUNE = `
  DELETE FROM seek_signals.outbox WHERE id IN (
    SELECT id FROM seek_signals.outbox
    WHERE state IN ('delivered', 'skipped') AND changed_at < now() - make_interval(secs => $1)
    LIMIT $2)
  RETURNING id`;

// PostgreSQL cannot store NUL, and a database that is not in UTF-8 cannot store every character of a reason.
// The outcome is then recorded with an ASCII reason: one reason must not block the outcomes of all signals.
const UNSTORABLE_TEXT_CODES = ['22P05', '22021'];

/** Outcome tracking: records in each outbox row what became of its signal. */
export const createOutcomeRows = ({ query }: Pick<Postgres, 'query'>) => ({
  /**
   * Records outcomes in rows that are `queued` or `dead`. Resolves with the ids of the signals that had
   * one.
   */
  recordOutcomes: async (events: readonly OutcomeEvent[]): Promise<ReadonlySet<string>> => {
    const last = lastPerSignal(events);
    if (last.length === 0) return new Set();
    const write = (toText = (reason: string) => reason) =>
      query<{ signalId: string }>(RECORD_OUTCOMES, [
        last.map(({ signalId }) => signalId),
        last.map(({ outcome }) => outcome),
        last.map(({ requestId }) => requestId ?? null),
        last.map(({ reason }) => (reason === undefined ? null : toText(reason))),
        last.map(({ at }) => at),
      ]);
    const rows = await write().catch((err: unknown) => {
      if (!UNSTORABLE_TEXT_CODES.some((code) => hasCode(err, code))) throw err;
      return write((reason) => reason.replaceAll(/[^ -~]/g, '?'));
    });
    return new Set(rows.map(({ signalId }) => signalId));
  },

  /** Rows without an outcome that were last looked up over `seconds` ago, oldest first. */
  findStale: (seconds: number, limit: number): Promise<OpenRow[]> =>
    query(FIND_STALE, [seconds, limit]),

  markChecked: async (ids: readonly string[]): Promise<void> => {
    if (ids.length > 0) await query(MARK_CHECKED, [ids]);
  },

  /** Deletes up to `limit` rows that were settled over `seconds` ago. Resolves with their number. */
  prune: async (seconds: number, limit: number): Promise<number> =>
    (await query(PRUNE, [seconds, limit])).length,
});

export type OutcomeRows = ReturnType<typeof createOutcomeRows>;

/** The last event of each signal. A dead or skipped signal may still be delivered; `delivered` is final. */
const lastPerSignal = (events: readonly OutcomeEvent[]): OutcomeEvent[] => {
  const last = new Map<string, OutcomeEvent>();
  for (const event of events) {
    if (last.get(event.signalId)?.outcome !== 'delivered') last.set(event.signalId, event);
  }
  return [...last.values()];
};
