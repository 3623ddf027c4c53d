import type {
  DeadLetterCount,
  DeadLetterView,
  DiscardResult,
} from '../../deadLetters/deadLetters.ts';
import type { DeadLetterFilter } from '../../deadLetters/filter.ts';
import type { RedriveOutcome } from '../../deadLetters/redrive.ts';
import type { RedrivePreview } from '../../deadLetters/redriveMany.ts';
import type { ImportResult } from '../../deadLetters/transfer.ts';
import type { EnqueueResult, InvalidResult } from '../../producer/enqueue.ts';
import type { Search } from '../../producer/search.ts';
import type { QueueStatus } from '../../queue/status.ts';
import type { DeadLetter } from '../../schemas/deadLetter.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { ApplicationView } from '../../seekTokens/registry.ts';

export type DeadLetterPage = { deadLetters: DeadLetterView[]; nextCursor?: string | undefined };

/** What the commands for operators do with the queue: on Redis directly, or over the HTTP API. */
export type AdminClient = {
  status: () => Promise<QueueStatus>;
  /** Returns one result per signal, in order. Rejects if the queue is unavailable; it is safe to repeat. */
  enqueue: (signals: readonly unknown[]) => Promise<(EnqueueResult | InvalidResult)[]>;
  search: Search;
  find: (signalId: string) => Promise<SignalRecord | undefined>;
  deadLetters: (
    filter: DeadLetterFilter & { cursor?: string | undefined },
  ) => Promise<DeadLetterPage>;
  countDeadLetters: (filter: DeadLetterFilter) => Promise<DeadLetterCount[]>;
  deadLetter: (signalId: string) => Promise<DeadLetterView | undefined>;
  /** With `dryRun`, reports the result of a redrive and changes nothing. */
  redrive: (signalId: string, options?: { dryRun: boolean }) => Promise<RedriveOutcome>;
  previewRedrive: (filter: DeadLetterFilter) => Promise<RedrivePreview>;
  /** Complete dead letters, including their signals. */
  exportDeadLetters: (filter: DeadLetterFilter) => AsyncIterable<DeadLetter>;
  /** Takes up to 1000 lines and 4 MiB. It is safe to repeat. */
  importDeadLetters: (lines: readonly Uint8Array[]) => Promise<ImportResult>;
  discard: (signalId: string, reason: string) => Promise<DiscardResult>;
  /** Applications whose seek token expires within `ms`, earliest first. */
  expiring: (ms: number, limit: number) => Promise<ApplicationView[]>;
  close: () => Promise<void>;
};
