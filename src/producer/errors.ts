import type { QueueFailure } from '../queue/failure.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';

/** SEEK would reject the signal. Nothing was enqueued. */
export class InvalidSignalError extends Error {
  override readonly name = 'InvalidSignalError';
  /** All problems, by JSON pointer (RFC 6901) into the signal. Holds no value of the signal. */
  readonly invalidFields: InvalidFields;

  constructor(invalidFields: InvalidFields) {
    super(`Invalid signal: ${describe(invalidFields)}`);
    this.invalidFields = invalidFields;
  }
}

/** The input of `recordSeekToken` or `eraseApplication` is invalid. Nothing was recorded or erased. */
export class InvalidSeekTokenError extends Error {
  override readonly name = 'InvalidSeekTokenError';
  /** All problems, by JSON pointer (RFC 6901) into the input. Holds no value of the input. */
  readonly invalidFields: InvalidFields;

  constructor(invalidFields: InvalidFields) {
    super(`Invalid seek token: ${describe(invalidFields)}`);
    this.invalidFields = invalidFields;
  }
}

/** What should identify an application or a position to SEEK is invalid. Nothing was recorded or removed. */
export class InvalidIdentifierError extends Error {
  override readonly name = 'InvalidIdentifierError';
  /** All problems, by JSON pointer (RFC 6901) into the input. Holds no value of the input. */
  readonly invalidFields: InvalidFields;

  constructor(invalidFields: InvalidFields) {
    super(`Invalid identifier: ${describe(invalidFields)}`);
    this.invalidFields = invalidFields;
  }
}

const describe = (invalidFields: InvalidFields): string =>
  Object.entries(invalidFields)
    .map(([at, what]) => `${at || '/'}: ${what}`)
    .join('; ');

const TIMED_OUT = 'The queue did not answer in time; try again';

/**
 * The queue did not acknowledge the write. The signal may have been enqueued. Enqueue it again: the queue
 * recognises it as a duplicate if it was. The message says what was refused, by which host, and what to do.
 */
export class QueueUnavailableError extends Error {
  override readonly name = 'QueueUnavailableError';
  /**
   * The first word of Redis's refusal, such as `NOREPLICAS`, `OOM` or `READONLY`; the system's code of the
   * connection error, such as `ECONNREFUSED`; or one of ours, such as `TIMEOUT`, `CLOSED`, `WAIT_REPLICAS` and
   * `FAILOVER`. The documentation lists them: error-codes.md.
   */
  readonly code: string;

  constructor({ code = 'TIMEOUT', message = TIMED_OUT, cause }: Partial<QueueFailure> = {}) {
    super(message, cause === undefined ? {} : { cause: withoutCommand(cause) });
    this.code = code;
  }
}

// An error of ioredis holds the failed command, and so the signal and its token. Copies message and code
// only. A SyntaxError quotes the text that it could not parse.
const withoutCommand = (cause: unknown): unknown => {
  if (!(cause instanceof Error)) return cause;
  const message = cause.name === 'SyntaxError' ? 'not JSON' : cause.message;
  return Object.assign(new Error(message), 'code' in cause ? { code: cause.code } : {});
};

/** The idempotency key was used before with other content. Nothing was enqueued. */
export class IdempotencyConflictError extends Error {
  override readonly name = 'IdempotencyConflictError';
  /** The signal that the key identifies. */
  readonly signalId: string;

  constructor(signalId: string) {
    super('The Idempotency-Key was already used for another signal: send another key');
    this.signalId = signalId;
  }
}
