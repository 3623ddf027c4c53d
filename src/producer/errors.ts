import type { InvalidFields } from '../schemas/invalidFields.ts';
import { SignalsInFlightError } from '../seekTokens/eraseApplication.ts';

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

/**
 * Redis did not acknowledge the write in time. The signal may have been enqueued. Enqueue it again: the
 * queue recognises it as a duplicate if it was.
 */
export class QueueUnavailableError extends Error {
  override readonly name = 'QueueUnavailableError';

  constructor({ cause }: { cause?: unknown } = {}) {
    const options = cause === undefined ? {} : { cause: withoutCommand(cause) };
    super(`The queue ${describeCause(cause)}; try again`, options);
  }
}

// Names only the causes that the operator must act on. For any other cause the caller just tries again.
const describeCause = (cause: unknown): string => {
  const message = cause instanceof Error ? cause.message : '';
  if (message.startsWith('OOM '))
    return 'takes no more signals: Redis is out of memory (maxmemory)';
  if (message.includes('WAIT_REPLICAS')) return `did not acknowledge: ${message}`;
  if (cause instanceof SignalsInFlightError) return 'is still sending signals of this application';
  return 'did not answer in time';
};

// An error of ioredis holds the failed command, and so the signal and its token. Copies message and
// code only.
const withoutCommand = (cause: unknown): unknown =>
  typeof cause === 'object' && cause !== null && 'message' in cause
    ? Object.assign(new Error(String(cause.message)), 'code' in cause ? { code: cause.code } : {})
    : cause;

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
