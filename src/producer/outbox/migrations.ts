/** The schema of the outbox, one migration per version. Never change the effect of a released migration. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE seek_signals.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The body of POST /signals, in SEEK's own field names.
  signal jsonb NOT NULL,
  -- Identifies the signal instead of its content, within the keys of the same sender.
  idempotency_key text,
  sender text NOT NULL DEFAULT 'outbox',
  created_at timestamptz NOT NULL DEFAULT now(),

  -- Only the relay writes the columns below.
  state text NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'rejected', 'queued', 'delivered', 'skipped', 'dead')),
  signal_id text,
  reason text,
  request_id text,
  changed_at timestamptz NOT NULL DEFAULT now(),
  -- When the relay last looked up the signal in the queue.
  checked_at timestamptz
-- Every row is deleted in the end, so the table must be vacuumed early.
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

CREATE INDEX outbox_pending ON seek_signals.outbox (id) WHERE state = 'pending';
CREATE INDEX outbox_unsettled ON seek_signals.outbox (checked_at) WHERE state IN ('queued', 'dead');
CREATE INDEX outbox_settled ON seek_signals.outbox (changed_at) WHERE state IN ('delivered', 'skipped');
CREATE INDEX outbox_rejected ON seek_signals.outbox (id) WHERE state = 'rejected';
CREATE INDEX outbox_signal ON seek_signals.outbox (signal_id) WHERE signal_id IS NOT NULL;

CREATE FUNCTION seek_signals.wake_relay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('seek_signals_outbox', '');
  RETURN NULL;
END $$;

CREATE TRIGGER wake_relay AFTER INSERT ON seek_signals.outbox
  FOR EACH STATEMENT EXECUTE FUNCTION seek_signals.wake_relay();`,

  // The default of `transaction_id` is set after the column: a volatile default would rewrite the table.
  `-- Fails early instead of delaying the ATS behind a transaction that stays open.
SET LOCAL lock_timeout = '10s';

ALTER TABLE seek_signals.outbox
  ALTER COLUMN signal DROP NOT NULL,
  -- What identifies an application or a position to SEEK, in place of a signal.
  ADD COLUMN record jsonb,
  -- The transaction that wrote the row. The relay moves its records before its signals.
  ADD COLUMN transaction_id xid8,
  ADD CONSTRAINT outbox_signal_or_record CHECK (num_nonnulls(signal, record) = 1);

ALTER TABLE seek_signals.outbox ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id();

CREATE INDEX outbox_records ON seek_signals.outbox (id)
  WHERE state = 'pending' AND record IS NOT NULL;
CREATE INDEX outbox_record_transactions ON seek_signals.outbox (transaction_id)
  WHERE state = 'pending' AND record IS NOT NULL;`,
];

/** The channel on which the trigger notifies relays. */
export const CHANNEL = 'seek_signals_outbox';

// Advisory locks. The numbers must only be unique.
// Makes concurrent migrations run one after the other.
const MIGRATION_LOCK = 7_335_001;
/** Held by the one transaction that moves records. */
export const RECORDS_LOCK = 7_335_002;

const PREPARE = `CREATE SCHEMA IF NOT EXISTS seek_signals;

CREATE TABLE IF NOT EXISTS seek_signals.migrations (
  version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());`;

const recordVersion = (version: number) =>
  `INSERT INTO seek_signals.migrations (version) VALUES (${version});`;

/** All migrations as one SQL script, for an empty database and other migration tools. */
export const printMigrations = (): string =>
  [
    '-- The outbox of the SEEK signal dispatcher.',
    'BEGIN;',
    PREPARE,
    ...MIGRATIONS.flatMap((sql, index) => [sql, recordVersion(index + 1)]),
    'COMMIT;',
  ].join('\n\n');

type Client = {
  query: (text: string) => Promise<{ rows: unknown[] }>;
};

/** Applies the missing migrations in the caller's transaction. Resolves with their number. */
export const migrate = async (client: Client): Promise<number> => {
  await client.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
  await client.query(PREPARE);
  const { rows } = await client.query('SELECT version FROM seek_signals.migrations');
  const missing = MIGRATIONS.slice(rows.length);
  for (const [index, sql] of missing.entries()) {
    await client.query(sql);
    await client.query(recordVersion(rows.length + index + 1));
  }
  return missing.length;
};
