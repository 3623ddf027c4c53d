import { createDeadLetters } from '../deadLetters/deadLetters.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { createAcceptSignals } from '../queue/acceptSignals.ts';
import { type ExplainFailure, PRODUCER_CLOSED } from '../queue/failure.ts';
import { createLookup } from '../queue/lookup.ts';
import { openRedis } from '../queue/redis/openRedis.ts';
import { createTokenCipher, parseTokenKey } from '../runtime/tokenCipher.ts';
import { toInvalidFields } from '../schemas/invalidFields.ts';
import type {
  CandidateApplicationProfileInput,
  PositionInput,
} from '../schemas/recordedIdentifiers.ts';
import { LIVE_AUDIENCE } from '../schemas/seekApi.ts';
import { ApplicationIdSchema, type SeekTokenInput } from '../schemas/seekToken.ts';
import { MAX_SIGNAL_BYTES, type SignalInput } from '../schemas/signal.ts';
import { DEDUPE_WINDOW_MS } from '../schemas/signalJob.ts';
import {
  createEraseApplication,
  ERASE_TIMEOUT_MS,
  type EraseApplication,
} from '../seekTokens/eraseApplication.ts';
import { createPositions } from '../seekTokens/positions.ts';
import { createSeekTokens } from '../seekTokens/registry.ts';
import { orUnavailable } from './available.ts';
import { checkOptions } from './checkOptions.ts';
import { createEnqueue, type EnqueueResult, type InvalidResult, toResults } from './enqueue.ts';
import { InvalidSeekTokenError, QueueUnavailableError } from './errors.ts';
import type { IdentifierInput } from './parseRecording.ts';
import { createRecordIdentifiers, type RecordingResult } from './recordIdentifiers.ts';
import { createRecordSeekToken } from './recordSeekToken.ts';

export type ProducerOptions = {
  /**
   * `redis://[[user]:password@]host[:port][/database]`, or `rediss://` for TLS. User name and password are
   * percent-encoded.
   */
  redisUrl: string;
  /**
   * Redis Sentinels that know the address of the master. The host of `redisUrl` is then the master's
   * name.
   */
  sentinels?: readonly { host: string; port: number }[];
  /**
   * How many replicas must acknowledge a write before `enqueue` resolves. With fewer, it rejects with
   * `QueueUnavailableError`. Default 0: the acknowledgement of the master is enough.
   */
  waitReplicas?: number;
  /** The `QUEUE_PREFIX` of the workers. Default `{seek}`. */
  queuePrefix?: string;
  /**
   * The name of the sender: logged and stored with each signal, and the scope of its idempotency keys.
   * Default `library`.
   */
  name?: string;
  /**
   * How long after acceptance a signal is recognised as a duplicate, in milliseconds; at most 366 days.
   * Default 24 hours.
   */
  dedupeWindowMs?: number;
  /** Accept a `typeCode` that this version does not know. Default `false`. */
  allowUnknownTypes?: boolean;
  /** The largest signal that is accepted, in bytes of JSON in UTF-8; at most 1 MiB. Default 65536. */
  maxSignalBytes?: number;
  /** How many days a seek token is valid: the `SEEK_TOKEN_TTL_DAYS` of the workers. Default 180. */
  seekTokenTtlDays?: number;
  /**
   * Keys of 32 bytes in base64: the `TOKEN_ENCRYPTION_KEYS` of the workers. The first key encrypts seek
   * tokens in Redis; all of them decrypt. Default: none, and tokens are stored in plain text.
   */
  tokenEncryptionKeys?: readonly string[];
  /**
   * The `SEEK_AUDIENCE` of the workers. Tokens from SEEK's documentation get a warning for the live
   * one. Default: live.
   */
  seekAudience?: string;
  /** A pino logger. No token is ever logged. Default: nothing is logged. */
  logger?: Logger;
};

export type EnqueueOptions = {
  /**
   * Identifies the signal instead of its content: a signal with the same key and the same sender is a
   * duplicate. Throws `IdempotencyConflictError` if the content differs.
   */
  idempotencyKey?: string;
};

export type Producer = {
  /**
   * Enqueues one signal. Resolves when Redis and `waitReplicas` replicas have acknowledged the write. From
   * then on the signal is delivered, skipped for a stated reason, or moved to the dead letters; it is
   * never lost. A signal that was accepted before is not queued again: the result is a `duplicate`.
   *
   * @throws {InvalidSignalError} SEEK would reject the signal; `invalidFields` names each problem.
   * @throws {QueueUnavailableError} Redis did not acknowledge the write within 5 seconds: `code` and `message` say why.
   * Enqueue the signal again.
   * @throws {IdempotencyConflictError} The idempotency key was used with other content.
   */
  enqueue: (signal: SignalInput, options?: EnqueueOptions) => Promise<EnqueueResult>;
  /**
   * Enqueues many signals. Resolves with one result per signal, in order. An invalid signal yields
   * `{ invalidFields }` and does not prevent the others from being enqueued.
   *
   * @throws {QueueUnavailableError} Redis did not acknowledge all writes within 5 seconds. Enqueue all signals
   * again: those that were accepted are recognised as duplicates.
   */
  enqueueMany: (signals: readonly SignalInput[]) => Promise<(EnqueueResult | InvalidResult)[]>;
  /**
   * Records a seek token that the ATS received. Signals can then name the application by `applicationId`;
   * the worker looks up the token when it sends them. The newest token is sent, whatever its source and in
   * any order of recording; a valid one before an expired one. A token recorded again is no newer.
   *
   * Resolves when Redis has acknowledged the write. `warnings` reports a token that belonged to another
   * application before, and an application that was erased since `receivedAt`: nothing is recorded then.
   *
   * @throws {InvalidSeekTokenError} The input is invalid; `invalidFields` names each problem.
   * @throws {QueueUnavailableError} Redis did not acknowledge the write within 5 seconds. Record the token again.
   */
  recordSeekToken: (recording: SeekTokenInput) => Promise<{ warnings?: string[] }>;
  /**
   * Records the candidate application profile of an application that came from SEEK's own form. Status
   * updates that name the application by `applicationId` are sent with it if there is no valid seek token.
   * Replaces an earlier one. Resolves when Redis has acknowledged the write. `warnings` reports a profile that
   * belonged to another application before, and an application that was erased meanwhile.
   *
   * @throws {InvalidIdentifierError} The input is invalid; `invalidFields` names each problem.
   * @throws {QueueUnavailableError} Redis did not acknowledge the write within 5 seconds. Record it again.
   */
  recordCandidateApplicationProfile: (
    recording: CandidateApplicationProfileInput,
  ) => Promise<{ warnings?: string[] }>;
  /**
   * Records the position profiles of a position. Signals that name it by `positionId` are sent with them.
   * Replaces an earlier recording. Resolves when Redis has acknowledged the write.
   *
   * @throws {InvalidIdentifierError} The input is invalid; `invalidFields` names each problem.
   * @throws {QueueUnavailableError} Redis did not acknowledge the write within 5 seconds. Record it again.
   */
  recordPosition: (recording: PositionInput) => Promise<void>;
  /**
   * Records seek tokens, candidate application profiles and positions in any mix, for a first import.
   * Resolves with one result per recording, in order; an invalid one does not stop the others.
   *
   * @throws {QueueUnavailableError} Redis did not acknowledge a write in time. Record all of them again.
   */
  recordMany: (recordings: readonly IdentifierInput[]) => Promise<RecordingResult[]>;
  /**
   * Erases an application: its seek tokens, its candidate application profile and its signals, whether waiting, dead or delivered. Signals that
   * were not delivered become `skipped` with the reason `application-erased`. The call waits for signals
   * that are being sent, and takes longer the longer the queue is. Resolves with the number of signals.
   *
   * @throws {InvalidSeekTokenError} `applicationId` is empty, over 255 bytes, or has surrounding white space.
   * @throws {QueueUnavailableError} The erasure did not finish within 60 seconds. Erase the application again.
   */
  eraseApplication: (applicationId: string) => Promise<number>;
  /** Closes the connection to Redis. Pending and later calls reject with `QueueUnavailableError`, code `CLOSED`. */
  close: () => Promise<void>;
};

/**
 * Creates a producer: it accepts signals and stores them in Redis, from where the workers deliver them. It
 * connects in the background and reconnects after a loss. Every call ends within its time limit.
 *
 * A signal has SEEK's own field names: developer.seek.com, "Sending signals".
 *
 * @throws {TypeError} An option is invalid. The message lists every problem, one per line, and no value.
 */
export const createProducer = ({
  redisUrl,
  sentinels,
  waitReplicas = 0,
  queuePrefix = '{seek}',
  name = 'library',
  dedupeWindowMs = DEDUPE_WINDOW_MS,
  allowUnknownTypes = false,
  maxSignalBytes = MAX_SIGNAL_BYTES,
  seekTokenTtlDays = 180,
  tokenEncryptionKeys = [],
  seekAudience = LIVE_AUDIENCE,
  logger = createLogger({ level: 'silent' }),
}: ProducerOptions): Producer => {
  checkOptions({
    redisUrl,
    sentinels: sentinels ?? [],
    waitReplicas,
    queuePrefix,
    name,
    dedupeWindowMs,
    maxSignalBytes,
    seekTokenTtlDays,
    tokenEncryptionKeys,
    seekAudience,
  });
  const cipher = createTokenCipher(readTokenKeys(tokenEncryptionKeys));
  const backend = openRedis({
    url: redisUrl,
    sentinels,
    waitReplicas,
    profile: 'fail-fast',
    prefix: queuePrefix,
    dedupeWindowMs,
    keepDeliveredMs: dedupeWindowMs,
    logger,
  });
  const lookup = createLookup(backend);
  const now = backend.clock.estimate;
  const tokens = createSeekTokens({
    store: backend.tokens,
    cipher,
    ttlDays: seekTokenTtlDays,
    now,
  });
  const { waitForReplicas, explainFailure } = backend;
  const recordSeekToken = createRecordSeekToken({
    tokens,
    waitForReplicas,
    explainFailure,
    logger,
    now,
  });
  const recordIdentifiers = createRecordIdentifiers({
    recordSeekToken,
    seekTokens: tokens,
    positions: createPositions({ store: backend.positions, now }),
    waitForReplicas,
    explainFailure,
    logger,
    now,
  });
  const deadLetters = createDeadLetters({ backend });
  const erase = createEraseApplication({ backend, tokens, deadLetters });
  const enqueueAll = createEnqueue({
    queue: createAcceptSignals({ backend, lookup, cipher, dedupeWindowMs }),
    parse: { allowUnknownTypes, audience: seekAudience, maxSignalBytes },
    explainFailure,
    logger,
  });

  return untilClosed({
    enqueue: async (signal, { idempotencyKey } = {}) => {
      const [result] = await enqueueAll([signal], { from: name, idempotencyKey });
      if (result === undefined) throw new Error('enqueue returned no result for the signal');
      if (result instanceof Error) throw result;
      return result;
    },

    enqueueMany: async (signals) => {
      return toResults(await enqueueAll(signals, { from: name }));
    },

    recordSeekToken,
    ...recordIdentifiers,

    eraseApplication: (applicationId) => eraseWithTimeout(erase, applicationId, explainFailure),

    close: backend.close,
  });
};

/** After `close()`, every call rejects. It would otherwise open a connection that nothing closes. */
const untilClosed = (producer: Producer): Producer => {
  let closing: Promise<void> | undefined;
  const unlessClosed =
    <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      if (closing !== undefined) throw new QueueUnavailableError(PRODUCER_CLOSED);
      return call(...args);
    };
  return {
    enqueue: unlessClosed(producer.enqueue),
    enqueueMany: unlessClosed(producer.enqueueMany),
    recordSeekToken: unlessClosed(producer.recordSeekToken),
    recordCandidateApplicationProfile: unlessClosed(producer.recordCandidateApplicationProfile),
    recordPosition: unlessClosed(producer.recordPosition),
    recordMany: unlessClosed(producer.recordMany),
    eraseApplication: unlessClosed(producer.eraseApplication),
    close: () => {
      closing ??= producer.close();
      return closing;
    },
  };
};

const eraseWithTimeout = async (
  erase: EraseApplication,
  applicationId: string,
  explainFailure: ExplainFailure,
): Promise<number> => {
  const parsed = ApplicationIdSchema.safeParse(applicationId, { reportInput: true });
  if (!parsed.success) {
    const { '': problem = '' } = toInvalidFields(parsed.error);
    throw new InvalidSeekTokenError({ '/applicationId': problem });
  }
  return orUnavailable(erase(parsed.data), ERASE_TIMEOUT_MS, explainFailure);
};

// The caller has checked the keys.
const readTokenKeys = (keys: readonly string[]): Buffer[] =>
  keys.flatMap((text) => parseTokenKey(text) ?? []);
