import { createDeadLetters } from '../deadLetters/deadLetters.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { createSignalQueue } from '../queue/acceptSignals.ts';
import { isDedupeWindowMs } from '../queue/dedupeWindow.ts';
import { createLookup } from '../queue/lookup.ts';
import { openRedis } from '../queue/redis/openRedis.ts';
import { withDeadline } from '../runtime/async.ts';
import { createTokenCipher, parseTokenKey } from '../runtime/tokenCipher.ts';
import { toInvalidFields } from '../schemas/invalidFields.ts';
import { LIVE_AUDIENCE } from '../schemas/seekApi.ts';
import { ApplicationIdSchema, type SeekTokenInput } from '../schemas/seekToken.ts';
import type { SignalInput } from '../schemas/signal.ts';
import { DEDUPE_WINDOW_MS } from '../schemas/signalJob.ts';
import { createEraseApplication, ERASE_TIMEOUT_MS } from '../seekTokens/eraseApplication.ts';
import { createSeekTokens } from '../seekTokens/registry.ts';
import { createEnqueue, type EnqueueResult, type InvalidResult, toResults } from './enqueue.ts';
import { InvalidSeekTokenError, QueueUnavailableError } from './errors.ts';
import { createRecordSeekToken } from './recordSeekToken.ts';

export type ProducerOptions = {
  /** `redis://` or `rediss://`, with user name and password where needed. */
  redisUrl: string;
  /** Redis Sentinels, asked for the address of the master; its name is then the host of `redisUrl`. */
  sentinels?: readonly { host: string; port: number }[];
  /**
   * How many replicas must have a signal before `enqueue` resolves; with fewer than that it throws
   * `QueueUnavailableError`. Default 0: the acknowledgement of the master alone.
   */
  waitReplicas?: number;
  /** The same as the workers' `QUEUE_PREFIX`. Default `{seek}`. */
  queuePrefix?: string;
  /** What the signals come from, as logged with each of them. Default `library`. */
  name?: string;
  /** How long after acceptance a signal is recognised as a duplicate, in ms. Default 24 hours. */
  dedupeWindowMs?: number;
  /** Pass a `typeCode` that SEEK added since this version. Default `false`. */
  allowUnknownTypes?: boolean;
  /** How many days a seek token lives. The same as the workers' `SEEK_TOKEN_TTL_DAYS`. Default 180. */
  seekTokenTtlDays?: number;
  /**
   * Keys of 32 bytes in base64, as in the workers' `TOKEN_ENCRYPTION_KEYS`: seek tokens are sealed with
   * the first while they lie in the queue. Without one they lie there in the clear.
   */
  tokenEncryptionKeys?: readonly string[];
  /** The audience that the workers send to; documentation tokens get a warning for the live one. */
  seekAudience?: string;
  /** A pino logger; nothing is logged without one. It never sees a token. */
  logger?: Logger;
};

export type EnqueueOptions = {
  /** Stands for the signal in place of its content: the same key again is the same signal. */
  idempotencyKey?: string;
};

export type Producer = {
  /**
   * Queues one signal. Resolves once Redis has acknowledged the write, and `waitReplicas` replicas
   * have it: from then on it is delivered, skipped for a stated reason, or lies in the dead letters.
   *
   * @throws {InvalidSignalError} SEEK would refuse it; `invalidFields` names every problem.
   * @throws {QueueUnavailableError} No acknowledgement within 5 seconds; enqueue it again.
   * @throws {IdempotencyConflictError} The key was used for other content.
   */
  enqueue: (signal: SignalInput, options?: EnqueueOptions) => Promise<EnqueueResult>;
  /**
   * Queues many. Resolves with one result each, in order; invalid ones do not stop the others.
   *
   * @throws {QueueUnavailableError} Some write was not acknowledged; enqueue all of them again.
   */
  enqueueMany: (signals: readonly SignalInput[]) => Promise<(EnqueueResult | InvalidResult)[]>;
  /**
   * Records a seek token that reached the ATS, so that signals can name the application in its place:
   * the token is looked up when they are sent. One of Apply with SEEK overrides one of the link-out,
   * and a newer one an older one, in whatever order they are recorded. Resolves once Redis has
   * acknowledged the write; `warnings` says if the token was another application's before.
   *
   * @throws {InvalidSeekTokenError} `invalidFields` names every problem.
   * @throws {QueueUnavailableError} No acknowledgement within 5 seconds; record it again.
   */
  recordSeekToken: (recording: SeekTokenInput) => Promise<{ warnings?: string[] }>;
  /**
   * Erases an application on request: its seek tokens, and its signals wherever they lie. Those that
   * were not sent yet are skipped, those that are being sent are waited for. Resolves with how many
   * signals there were; with many in the queue, that takes its time.
   *
   * @throws {InvalidSeekTokenError} It is no name of an application.
   * @throws {QueueUnavailableError} It was not done within a minute; erase it again.
   */
  eraseApplication: (applicationId: string) => Promise<number>;
  /** Lets go of the connection. What is under way rejects. */
  close: () => Promise<void>;
};

/**
 * Opens a producer on the queue that the workers drain. Connects by itself, and again after every
 * loss; a call never hangs. Field names and meaning of a signal: developer.seek.com, "Sending
 * signals".
 *
 * @throws {TypeError} `redisUrl` is no such URL, `dedupeWindowMs` no such time, or one of `tokenEncryptionKeys` no such key.
 */
export const createProducer = ({
  redisUrl,
  sentinels,
  waitReplicas = 0,
  queuePrefix = '{seek}',
  name = 'library',
  dedupeWindowMs = DEDUPE_WINDOW_MS,
  allowUnknownTypes = false,
  seekTokenTtlDays = 180,
  tokenEncryptionKeys = [],
  seekAudience = LIVE_AUDIENCE,
  logger = createLogger({ level: 'silent' }),
}: ProducerOptions): Producer => {
  if (!URL.canParse(redisUrl) || !/^rediss?:$/.test(new URL(redisUrl).protocol)) {
    throw new TypeError('redisUrl must be a URL: redis://host:6379 or rediss://…');
  }
  if (!isDedupeWindowMs(dedupeWindowMs)) {
    throw new TypeError(
      'dedupeWindowMs must be a whole number of milliseconds, from 1 to 366 days',
    );
  }
  const cipher = createTokenCipher(tokenEncryptionKeys.map(readTokenKey));
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
  const tokens = createSeekTokens({ store: backend.tokens, cipher, ttlDays: seekTokenTtlDays });
  const deadLetters = createDeadLetters({ backend });
  const erase = createEraseApplication({ backend, tokens, deadLetters });
  const enqueueAll = createEnqueue({
    queue: createSignalQueue({ backend, lookup, cipher, dedupeWindowMs }),
    parse: { allowUnknownTypes, audience: seekAudience },
    logger,
  });

  return {
    enqueue: async (signal, { idempotencyKey } = {}) => {
      const [result] = await enqueueAll([signal], { from: name, idempotencyKey });
      if (result === undefined) throw new Error('One signal, but no result');
      if (result instanceof Error) throw result;
      return result;
    },

    enqueueMany: async (signals) => {
      return toResults(await enqueueAll(signals, { from: name }));
    },

    recordSeekToken: createRecordSeekToken({
      ...{ tokens, replicated: backend.replicated, logger },
    }),

    eraseApplication: async (applicationId) => {
      const parsed = ApplicationIdSchema.safeParse(applicationId, { reportInput: true });
      if (!parsed.success) {
        const { '': problem = '' } = toInvalidFields(parsed.error);
        throw new InvalidSeekTokenError({ '/applicationId': problem });
      }
      const unavailable = (cause?: unknown) => new QueueUnavailableError({ cause });
      const erasing = erase(parsed.data).catch((cause: unknown) => {
        throw unavailable(cause);
      });
      return withDeadline(erasing, ERASE_TIMEOUT_MS, unavailable);
    },

    close: backend.close,
  };
};

const readTokenKey = (text: string): Buffer => {
  const key = parseTokenKey(text);
  if (key === undefined)
    throw new TypeError('tokenEncryptionKeys must be 32 bytes each, in base64');
  return key;
};
