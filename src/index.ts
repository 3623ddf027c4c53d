// The public API of the library. What is not exported here may change without notice.

export { carrySeekParameters } from './producer/carrySeekParameters.ts';
export {
  createProducer,
  type EnqueueOptions,
  type Producer,
  type ProducerOptions,
} from './producer/createProducer.ts';
export type { EnqueueResult, InvalidResult } from './producer/enqueue.ts';
export {
  IdempotencyConflictError,
  InvalidIdentifierError,
  InvalidSeekTokenError,
  InvalidSignalError,
  QueueUnavailableError,
} from './producer/errors.ts';
export {
  createOutbox,
  type Outbox,
  type OutboxClient,
  type OutboxEnqueueOptions,
  type OutboxOptions,
  type OutboxRecordRow,
  type OutboxResult,
  type OutboxRow,
} from './producer/outbox/createOutbox.ts';
export type { IdentifierInput } from './producer/parseRecording.ts';
export { type ApplyUrl, readSeekToken, type SeekTokenReading } from './producer/readSeekToken.ts';
export type { RecordingResult } from './producer/recordIdentifiers.ts';
export {
  defineWorkflow,
  type Workflow,
  type WorkflowDefinition,
  WorkflowError,
  type WorkflowMoment,
} from './producer/workflow/defineWorkflow.ts';
export type { InvalidFields } from './schemas/invalidFields.ts';
export type {
  CandidateApplicationProfileInput,
  PositionInput,
} from './schemas/recordedIdentifiers.ts';
export type { SeekTokenInput, TokenSource } from './schemas/seekToken.ts';
export type { SignalInput, StateInput } from './schemas/signal.ts';
export type { SignalState } from './schemas/signalRecord.ts';
export type { WorkflowStep } from './schemas/workflow.ts';
