import type { InvalidFields } from '../schemas/invalidFields.ts';
import { SignalsInFlightError } from '../seekTokens/eraseApplication.ts';

/** SEEK would refuse the signal. Nothing was queued. */
export class InvalidSignalError extends Error {
  override readonly name = 'InvalidSignalError';
  /** Every problem at once, by JSON pointer into the signal. Holds no value of it. */
  readonly invalidFields: InvalidFields;

  constructor(invalidFields: InvalidFields) {
    super(`Invalid signal: ${describe(invalidFields)}`);
    this.invalidFields = invalidFields;
  }
}

/** A seek token, or what came with it, is no such thing. Nothing was recorded. */
export class InvalidSeekTokenError extends Error {
  override readonly name = 'InvalidSeekTokenError';
  /** Every problem at once, by JSON pointer into what was given. Holds no value of it. */
  readonly invalidFields: InvalidFields;

  constructor(invalidFields: InvalidFields) {
    super(`Invalid seek token: ${describe(invalidFields)}`);
    this.invalidFields = invalidFields;
  }
}

const describe = (invalidFields: InvalidFields): string =>
  Object.entries(invalidFields)
    .map(([at, what]) => `${at || '/'}: ${what}`)
    .join('; ');

/**
 * The queue did not acknowledge in time. The signal may or may not have been queued: enqueue it
 * again, and it will be recognised if it was.
 */
export class QueueUnavailableError extends Error {
  override readonly name = 'QueueUnavailableError';

  constructor({ cause }: { cause?: unknown } = {}) {
    const options = cause === undefined ? {} : { cause: withoutCommand(cause) };
    super(`The queue ${whatAiled(cause)}; try again`, options);
  }
}

// What the operator has to know of first. Anything else comes to the same for the caller.
const whatAiled = (cause: unknown): string => {
  const message = cause instanceof Error ? cause.message : '';
  if (message.startsWith('OOM ')) return 'takes no more: Redis is out of memory (maxmemory)';
  if (message.includes('WAIT_REPLICAS')) return `did not acknowledge: ${message}`;
  if (cause instanceof SignalsInFlightError) return 'is still sending signals of this application';
  return 'did not answer in time';
};

// An error of ioredis carries the command that failed, and with it the signal and its token.
const withoutCommand = (cause: unknown): unknown =>
  typeof cause === 'object' && cause !== null && 'message' in cause
    ? Object.assign(new Error(String(cause.message)), 'code' in cause ? { code: cause.code } : {})
    : cause;

/** The Idempotency-Key was used before, for other content. Nothing was queued. */
export class IdempotencyConflictError extends Error {
  override readonly name = 'IdempotencyConflictError';
  /** The signal that the key stands for. */
  readonly signalId: string;

  constructor(signalId: string) {
    super('The Idempotency-Key was already used for another signal');
    this.signalId = signalId;
  }
}
