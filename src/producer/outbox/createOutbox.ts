import { LIVE_AUDIENCE } from '../../schemas/seekApi.ts';
import type { SignalInput } from '../../schemas/signal.ts';
import { prepareSignal } from '../prepareSignal.ts';

export type OutboxOptions = {
  /** What the signals come from, as with `createProducer`; the scope of their idempotency keys. Default `outbox`. */
  name?: string;
  /** Pass a `typeCode` that SEEK added since this version; the relay must be told as well. Default `false`. */
  allowUnknownTypes?: boolean;
  /** The audience that the workers send to; documentation tokens get a warning for the live one. */
  seekAudience?: string;
};

export type OutboxEnqueueOptions = {
  /** Stands for the signal in place of its content: the same key again is the same signal. */
  idempotencyKey?: string;
};

/** What is written, in the columns of `seek_signals.outbox`. `signal` is JSON. */
export type OutboxRow = { signal: string; idempotency_key: string | null; sender: string };

/** As much of node-postgres' client as is used: a `Client`, or one of a pool, with a transaction begun on it. */
export type OutboxClient = {
  query: (text: string, values: unknown[]) => Promise<unknown>;
};

export type OutboxResult = {
  /** A UUID: the same for the same signal, anywhere. */
  signalId: string;
  /** What SEEK takes but probably was not meant; each line begins with a JSON pointer. */
  warnings?: string[];
};

export type Outbox = {
  /**
   * Writes one signal into the outbox, by the caller's own client and so in the caller's own
   * transaction: it is sent if that commits, and never if it does not.
   *
   * @throws {InvalidSignalError} SEEK would refuse it; `invalidFields` names every problem. Nothing was written, and the transaction is as it was.
   */
  enqueue: (
    client: OutboxClient,
    signal: SignalInput,
    options?: OutboxEnqueueOptions,
  ) => Promise<OutboxResult>;
  /**
   * The same as a statement, for whoever has no client of node-postgres: `text` with `$1`, `$2`, `$3`
   * for `values`.
   *
   * @throws {InvalidSignalError} as `enqueue`.
   */
  statement: (
    signal: SignalInput,
    options?: OutboxEnqueueOptions,
  ) => OutboxResult & { text: string; values: [string, string | null, string] };
  /**
   * The same as a row, for query builders that know the table.
   *
   * @throws {InvalidSignalError} as `enqueue`.
   */
  row: (signal: SignalInput, options?: OutboxEnqueueOptions) => OutboxRow;
};

const INSERT =
  'INSERT INTO seek_signals.outbox (signal, idempotency_key, sender) VALUES ($1::jsonb, $2, $3)';

/**
 * Opens the outbox in the ATS's own PostgreSQL; `seek-signals outbox migrate` makes its table, and
 * `seek-signals relay` moves what is committed there into the queue. Holds no connection.
 */
export const createOutbox = ({
  name = 'outbox',
  allowUnknownTypes = false,
  seekAudience = LIVE_AUDIENCE,
}: OutboxOptions = {}): Outbox => {
  const rules = { allowUnknownTypes, audience: seekAudience };
  const prepare = (given: SignalInput, { idempotencyKey }: OutboxEnqueueOptions = {}) => {
    const prepared = prepareSignal(given, { from: name, idempotencyKey }, rules);
    if (prepared instanceof Error) throw prepared;
    const {
      signal: { signal, signalId },
      warnings,
    } = prepared;
    const row: OutboxRow = {
      signal: JSON.stringify(signal),
      idempotency_key: idempotencyKey ?? null,
      sender: name,
    };
    return { row, told: { signalId, ...(warnings.length > 0 ? { warnings } : {}) } };
  };

  const statement: Outbox['statement'] = (signal, options) => {
    const { row, told } = prepare(signal, options);
    return { text: INSERT, values: [row.signal, row.idempotency_key, row.sender], ...told };
  };

  return {
    enqueue: async (client, signal, options) => {
      const { text, values, ...told } = statement(signal, options);
      await client.query(text, values);
      return told;
    },
    statement,
    row: (signal, options) => prepare(signal, options).row,
  };
};
