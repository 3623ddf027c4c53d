import { isObject } from '../schemas/isObject.ts';

/** What became of a signal, for the outbox that it came from. */
export type Settlement = {
  signalId: string;
  outcome: 'delivered' | 'skipped' | 'dead';
  /** In milliseconds. */
  at: number;
  /** Of the last request to SEEK. */
  requestId?: string | undefined;
  reason?: string | undefined;
};

export type Reported = { id: string; settlement: Settlement };

/**
 * Settlements on their way to the outbox. They are no promise: a worker may die before it has told, and
 * who is never asked keeps a million of them. Whoever wants to be certain asks the queue.
 */
export type Settlements = {
  /** Those that we have in hand, that nobody has, or that somebody has had for a minute: of each up to `limit`. */
  take: (limit: number) => Promise<Reported[]>;
  /** They have been written down. */
  done: (ids: string[]) => Promise<void>;
};

/** What is to be told of a job that has come to its end; nothing where nobody has asked for it. */
export const settlementOf = (data: unknown, report: Report): { report?: Report } =>
  isObject(data) && data.reportTo === 'outbox' ? { report } : {};

type Report = Omit<Settlement, 'signalId' | 'outcome'>;
