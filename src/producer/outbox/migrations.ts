/** What the outbox is in the ATS's database, step by step; a step that was released never changes. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE seek_signals.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- As for POST /signals, in SEEK's own field names.
  signal jsonb NOT NULL,
  -- Stands for the signal in place of its content, among the keys of the same sender.
  idempotency_key text,
  sender text NOT NULL DEFAULT 'outbox',
  created_at timestamptz NOT NULL DEFAULT now(),

  -- What follows is the relay's.
  state text NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'rejected', 'queued', 'delivered', 'skipped', 'dead')),
  signal_id text,
  reason text,
  request_id text,
  changed_at timestamptz NOT NULL DEFAULT now(),
  -- When the queue was last asked about it.
  checked_at timestamptz
-- Rows come and go: what they leave behind is to be cleared away early.
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
];

/** What a relay listens for. */
export const CHANNEL = 'seek_signals_outbox';

// Any number will do that nobody else takes: two who migrate at once take turns.
const LOCK = 7_335_001;

const PREPARE = `CREATE SCHEMA IF NOT EXISTS seek_signals;

CREATE TABLE IF NOT EXISTS seek_signals.migrations (
  version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());`;

const note = (version: number) =>
  `INSERT INTO seek_signals.migrations (version) VALUES (${version});`;

/** All of it as one script, for whoever migrates by other means: from nothing to the newest version. */
export const printMigrations = (): string =>
  [
    '-- The outbox of the SEEK signal dispatcher.',
    'BEGIN;',
    PREPARE,
    ...MIGRATIONS.flatMap((sql, index) => [sql, note(index + 1)]),
    'COMMIT;',
  ].join('\n\n');

type Client = {
  query: (text: string) => Promise<{ rows: unknown[] }>;
};

/** Takes every step that was not taken yet, within a transaction of the caller's. Resolves with how many those were. */
export const migrate = async (client: Client): Promise<number> => {
  await client.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
  await client.query(PREPARE);
  const { rows } = await client.query('SELECT version FROM seek_signals.migrations');
  const missing = MIGRATIONS.slice(rows.length);
  for (const [index, sql] of missing.entries()) {
    await client.query(sql);
    await client.query(note(rows.length + index + 1));
  }
  return missing.length;
};
