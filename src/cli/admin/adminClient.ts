import type { DeadLetterCount, DeadLetterView, Discarded } from '../../deadLetters/deadLetters.ts';
import type { DeadLetterFilter } from '../../deadLetters/filter.ts';
import type { Redriven } from '../../deadLetters/redrive.ts';
import type { RedrivePreview } from '../../deadLetters/redriveMany.ts';
import type { Imported } from '../../deadLetters/transfer.ts';
import type { EnqueueResult, InvalidResult } from '../../producer/enqueue.ts';
import type { Search } from '../../producer/search.ts';
import type { QueueStatus } from '../../queue/status.ts';
import type { DeadLetter } from '../../schemas/deadLetter.ts';
import type { SignalRecord } from '../../schemas/signalRecord.ts';
import type { ApplicationView } from '../../seekTokens/registry.ts';

export type DeadLetterPage = { deadLetters: DeadLetterView[]; nextCursor?: string | undefined };

/** What a person at the command line asks of the queue. */
export type AdminClient = {
  status: () => Promise<QueueStatus>;
  /** One result each, in order. Rejects where the queue did not take them; they may be repeated. */
  enqueue: (signals: readonly unknown[]) => Promise<(EnqueueResult | InvalidResult)[]>;
  search: Search;
  find: (signalId: string) => Promise<SignalRecord | undefined>;
  deadLetters: (
    filter: DeadLetterFilter & { cursor?: string | undefined },
  ) => Promise<DeadLetterPage>;
  countLetters: (filter: DeadLetterFilter) => Promise<DeadLetterCount[]>;
  deadLetter: (signalId: string) => Promise<DeadLetterView | undefined>;
  /** With `dryRun` it only says what would come of it. */
  redrive: (signalId: string, options?: { dryRun: boolean }) => Promise<Redriven>;
  previewRedrive: (filter: DeadLetterFilter) => Promise<RedrivePreview>;
  /** Dead letters whole, with their signals. */
  exportDeadLetters: (filter: DeadLetterFilter) => AsyncIterable<DeadLetter>;
  /** Up to 1000 lines and 4 MiB; may be repeated. */
  importDeadLetters: (lines: readonly Uint8Array[]) => Promise<Imported>;
  discard: (signalId: string, reason: string) => Promise<Discarded>;
  /** Applications whose seek token expires within `ms`, the first to expire first. */
  expiring: (ms: number, limit: number) => Promise<ApplicationView[]>;
  close: () => Promise<void>;
};
