import type {
  CandidateApplicationProfileInput,
  PositionInput,
} from '../../schemas/recordedIdentifiers.ts';
import { LIVE_AUDIENCE } from '../../schemas/seekApi.ts';
import type { SeekTokenInput } from '../../schemas/seekToken.ts';
import { MAX_SIGNAL_BYTES, type SignalInput } from '../../schemas/signal.ts';
import { checkOptions } from '../checkOptions.ts';
import {
  type IdentifierInput,
  parseCandidateApplicationProfile,
  parsePosition,
  parseRecording,
  parseSeekToken,
} from '../parseRecording.ts';
import { prepareSignal } from '../prepareSignal.ts';

export type OutboxOptions = {
  /**
   * The name of the sender: logged and stored with each signal, and the scope of its idempotency keys.
   * Default `outbox`.
   */
  name?: string;
  /**
   * Accept a `typeCode` that this version does not know. Set `ALLOW_UNKNOWN_TYPES` on the relay too.
   * Default `false`.
   */
  allowUnknownTypes?: boolean;
  /** The largest signal that is accepted, in bytes of JSON in UTF-8; at most 1 MiB. Default 65536. */
  maxSignalBytes?: number;
  /**
   * The `SEEK_AUDIENCE` of the workers. Tokens from SEEK's documentation get a warning for the live
   * one. Default: live.
   */
  seekAudience?: string;
};

export type OutboxEnqueueOptions = {
  /**
   * Identifies the signal instead of its content: a signal with the same key and the same sender is a
   * duplicate. The relay rejects the row if its content differs.
   */
  idempotencyKey?: string;
};

/** The columns of `seek_signals.outbox` to insert. `signal` is JSON text. */
export type OutboxRow = { signal: string; idempotency_key: string | null; sender: string };

/** The columns of `seek_signals.outbox` to insert for a recording. `record` is JSON text. */
export type OutboxRecordRow = { record: string; sender: string };

/** The part of a node-postgres client that is used: a `Client`, or one of a pool, in an open transaction. */
export type OutboxClient = {
  query: (text: string, values: unknown[]) => Promise<unknown>;
};

export type OutboxResult = {
  /** A UUID, version 5, computed from the signal: the same signal always has the same id. */
  signalId: string;
  /** Values that SEEK accepts but that are probably mistakes. Each text begins with a JSON pointer. */
  warnings?: string[];
};

export type Outbox = {
  /**
   * Inserts one signal into the outbox in the transaction of the caller's client. The relay moves the signal
   * to the queue if that transaction commits, and never sees it otherwise.
   *
   * @throws {InvalidSignalError} SEEK would reject the signal; `invalidFields` names each problem. No
   * statement was sent, and the transaction can continue.
   */
  enqueue: (
    client: OutboxClient,
    signal: SignalInput,
    options?: OutboxEnqueueOptions,
  ) => Promise<OutboxResult>;
  /**
   * Returns the statement that `enqueue` sends, for other database clients: `text` has the placeholders
   * `$1`, `$2` and `$3` for `values`.
   *
   * @throws {InvalidSignalError} SEEK would reject the signal.
   */
  statement: (
    signal: SignalInput,
    options?: OutboxEnqueueOptions,
  ) => OutboxResult & { text: string; values: [string, string | null, string] };
  /**
   * Returns the row that `enqueue` inserts, for query builders.
   *
   * @throws {InvalidSignalError} SEEK would reject the signal.
   */
  row: (signal: SignalInput, options?: OutboxEnqueueOptions) => OutboxRow;
  /**
   * Records a seek token in the transaction of the caller's client, so that the token commits together with
   * its application. The relay records it before it moves the signals of the same transaction, which can
   * therefore name the application by `applicationId`. Without `receivedAt`, the token counts as received
   * at the time of this call.
   *
   * @throws {InvalidSeekTokenError} The input is invalid; `invalidFields` names each problem. No statement
   * was sent, and the transaction can continue.
   */
  recordSeekToken: (client: OutboxClient, recording: SeekTokenInput) => Promise<void>;
  /**
   * Records the candidate application profile of an application in the transaction of the caller's client,
   * as `recordSeekToken` does a token. Replaces an earlier one.
   *
   * @throws {InvalidIdentifierError} The input is invalid; `invalidFields` names each problem. No statement
   * was sent, and the transaction can continue.
   */
  recordCandidateApplicationProfile: (
    client: OutboxClient,
    recording: CandidateApplicationProfileInput,
  ) => Promise<void>;
  /**
   * Records the position profiles of a position in the transaction of the caller's client, as
   * `recordSeekToken` does a token. Replaces an earlier recording.
   *
   * @throws {InvalidIdentifierError} The input is invalid; `invalidFields` names each problem. No statement
   * was sent, and the transaction can continue.
   */
  recordPosition: (client: OutboxClient, recording: PositionInput) => Promise<void>;
  /**
   * Returns the statement that the three functions above send, for other database clients: `text` has the
   * placeholders `$1` and `$2` for `values`. Takes a seek token, a candidate application profile or a
   * position, and tells them apart by their fields.
   *
   * @throws {InvalidSeekTokenError | InvalidIdentifierError} The input is invalid.
   */
  recordStatement: (recording: IdentifierInput) => { text: string; values: [string, string] };
  /**
   * Returns the row that the three functions above insert, for query builders.
   *
   * @throws {InvalidSeekTokenError | InvalidIdentifierError} The input is invalid.
   */
  recordRow: (recording: IdentifierInput) => OutboxRecordRow;
};

const INSERT =
  'INSERT INTO seek_signals.outbox (signal, idempotency_key, sender) VALUES ($1::jsonb, $2, $3)';
const INSERT_RECORD = 'INSERT INTO seek_signals.outbox (record, sender) VALUES ($1::jsonb, $2)';

/**
 * Creates an outbox: it writes signals, and what identifies applications and positions, into the ATS's own
 * PostgreSQL, in the ATS's own transactions.
 * `seek-signals outbox migrate` creates the table, and `seek-signals relay` moves committed rows to the
 * queue. An outbox opens no connection.
 *
 * @throws {TypeError} An option is invalid. The message lists every problem, one per line, and no value.
 */
export const createOutbox = ({
  name = 'outbox',
  allowUnknownTypes = false,
  maxSignalBytes = MAX_SIGNAL_BYTES,
  seekAudience = LIVE_AUDIENCE,
}: OutboxOptions = {}): Outbox => {
  checkOptions({ name, seekAudience, maxSignalBytes });
  const rules = { allowUnknownTypes, audience: seekAudience, maxSignalBytes };
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
    const result: OutboxResult = { signalId, ...(warnings.length > 0 ? { warnings } : {}) };
    return { row, result };
  };

  const statement: Outbox['statement'] = (signal, options) => {
    const { row, result } = prepare(signal, options);
    return { text: INSERT, values: [row.signal, row.idempotency_key, row.sender], ...result };
  };

  const recordRow = (value: object): OutboxRecordRow => ({
    record: JSON.stringify(value),
    sender: name,
  });
  const recordStatement = (value: object): ReturnType<Outbox['recordStatement']> => {
    const { record, sender } = recordRow(value);
    return { text: INSERT_RECORD, values: [record, sender] };
  };
  const insertRecord = async (client: OutboxClient, value: object): Promise<void> => {
    const { text, values } = recordStatement(value);
    await client.query(text, values);
  };

  return {
    enqueue: async (client, signal, options) => {
      const { text, values, ...result } = statement(signal, options);
      await client.query(text, values);
      return result;
    },
    statement,
    row: (signal, options) => prepare(signal, options).row,
    recordSeekToken: async (client, recording) =>
      insertRecord(client, parseSeekToken(recording, Date.now())),
    recordCandidateApplicationProfile: async (client, recording) =>
      insertRecord(client, parseCandidateApplicationProfile(recording)),
    recordPosition: async (client, recording) => insertRecord(client, parsePosition(recording)),
    recordStatement: (recording) => recordStatement(parseRecording(recording, Date.now())),
    recordRow: (recording) => recordRow(parseRecording(recording, Date.now())),
  };
};
