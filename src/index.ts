export {
  createProducer,
  type EnqueueOptions,
  type InvalidResult,
  type Producer,
  type ProducerOptions,
} from './producer/createProducer.ts';
export type { EnqueueResult } from './producer/enqueue.ts';
export {
  IdempotencyConflictError,
  InvalidSignalError,
  QueueUnavailableError,
} from './producer/errors.ts';
export type { InvalidFields } from './schemas/invalidFields.ts';
export type { SignalInput, StateInput } from './schemas/signal.ts';
export type { SignalState } from './schemas/states.ts';
