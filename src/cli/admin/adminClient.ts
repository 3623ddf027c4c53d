import type { Discarded, LetterCount, LetterView } from '../../deadLetters/deadLetters.ts';
import type { LetterFilter } from '../../deadLetters/filter.ts';
import type { Redriven } from '../../deadLetters/redrive.ts';
import type { Rehearsal } from '../../deadLetters/redriveMany.ts';
import type { Imported } from '../../deadLetters/transfer.ts';
import type { EnqueueResult, InvalidResult } from '../../producer/enqueue.ts';
import type { Search } from '../../producer/search.ts';
import type { QueueStatus } from '../../queue/status.ts';
import type { DeadLetter } from '../../schemas/deadLetter.ts';
import type { SignalLife } from '../../schemas/signalRecord.ts';
import type { ApplicationView } from '../../seekTokens/registry.ts';

export type LetterPage = { deadLetters: LetterView[]; nextCursor?: string | undefined };

/** What a person at the command line asks of the queue. */
export type Desk = {
  status: () => Promise<QueueStatus>;
  /** One result each, in order. Rejects where the queue did not take them; they may be repeated. */
  enqueue: (signals: readonly unknown[]) => Promise<(EnqueueResult | InvalidResult)[]>;
  search: Search;
  find: (signalId: string) => Promise<SignalLife | undefined>;
  letters: (filter: LetterFilter & { cursor?: string | undefined }) => Promise<LetterPage>;
  countLetters: (filter: LetterFilter) => Promise<LetterCount[]>;
  letter: (signalId: string) => Promise<LetterView | undefined>;
  /** With `dryRun` it only says what would come of it. */
  redrive: (signalId: string, options?: { dryRun: boolean }) => Promise<Redriven>;
  rehearse: (filter: LetterFilter) => Promise<Rehearsal>;
  /** Letters whole, with their signals. */
  exportLetters: (filter: LetterFilter) => AsyncIterable<DeadLetter>;
  /** Up to 1000 lines and 4 MiB; may be repeated. */
  importLetters: (lines: readonly Uint8Array[]) => Promise<Imported>;
  discard: (signalId: string, reason: string) => Promise<Discarded>;
  /** Applications whose seek token expires within `ms`, the first to expire first. */
  expiring: (ms: number, limit: number) => Promise<ApplicationView[]>;
  close: () => Promise<void>;
};
