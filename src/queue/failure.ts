/** Why the queue did not do what a call asked for. */
export type QueueFailure = {
  /**
   * The first word of Redis's refusal (`NOREPLICAS`), the system's code of the connection error
   * (`ECONNREFUSED`), or one of ours: `TIMEOUT`, `CLOSED`, `CONNECTION_LOST`, `NO_SENTINEL`, `WAIT_REPLICAS`,
   * `FAILOVER`, `SIGNALS_IN_FLIGHT`, `QUEUE_ERROR`.
   */
  code: string;
  /** What failed, where, and what to do if that is known. Holds no secret. */
  message: string;
  /** The error that explains it: the connection's own, where the call failed for want of a connection. */
  cause?: unknown;
};

/** Explains an error of the queue. Without an error, the call did not end in time. */
export type ExplainFailure = (err?: unknown) => QueueFailure;

/** The code of an error of the system or of a library. */
export const codeOf = (err: unknown): string | undefined => {
  const code = typeof err === 'object' && err !== null && 'code' in err ? err.code : undefined;
  return typeof code === 'string' && /^[A-Z0-9][A-Z0-9_]+$/.test(code) ? code : undefined;
};

/** Explains a failure of a queue without a connection. An unknown message is left out: it may quote a signal. */
export const explainLocalFailure: ExplainFailure = (err) => {
  if (err === undefined) {
    return { code: 'TIMEOUT', message: 'The queue did not answer in time; try again' };
  }
  const code = codeOf(err) ?? 'QUEUE_ERROR';
  const name = err instanceof Error ? err.name : 'unknown error';
  return { code, message: `The queue failed: ${name} (${code})`, cause: err };
};

export const PRODUCER_CLOSED: QueueFailure = {
  code: 'CLOSED',
  message: 'This producer is closed',
};

/** The queue did the write, and its acknowledgement is not enough. */
export class UnacknowledgedError extends Error {
  override readonly name = 'UnacknowledgedError';
  readonly code: string;

  constructor(code: 'WAIT_REPLICAS' | 'FAILOVER' | 'CONNECTION_LOST', message: string) {
    super(message);
    this.code = code;
  }
}
