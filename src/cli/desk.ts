import type { LetterFilter, LetterView } from '../queue/deadLetters.ts';
import type { QueueStatus } from '../queue/queueStatus.ts';
import type { SignalLife } from '../schemas/states.ts';

export type LetterPage = { deadLetters: LetterView[]; nextCursor?: string | undefined };

/** What a person at the command line asks of the queue. */
export type Desk = {
  status: () => Promise<QueueStatus>;
  find: (signalId: string) => Promise<SignalLife | undefined>;
  letters: (filter: LetterFilter & { cursor?: string | undefined }) => Promise<LetterPage>;
  letter: (signalId: string) => Promise<LetterView | undefined>;
  redrive: (signalId: string) => Promise<'redriven' | 'not-found' | 'busy'>;
  discard: (signalId: string, reason: string) => Promise<'discarded' | 'not-found' | 'busy'>;
  close: () => Promise<void>;
};
