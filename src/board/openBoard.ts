import { type Backend, DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import type { DeadLetters } from '../queue/deadLetters.ts';
import type { FindSignals } from '../queue/findSignals.ts';
import type { QueueStatus } from '../queue/queueStatus.ts';
import type { SignalLives } from '../queue/signalLives.ts';
import { createBoard } from './createBoard.ts';
import type { Account } from './login.ts';

type Deps = {
  backend: Pick<Backend, 'bullQueue' | 'history'>;
  lookup: Pick<SignalLives, 'find'>;
  findSignals: Pick<FindSignals, 'byAny'>;
  status: () => Promise<QueueStatus>;
  deadLetters: Pick<DeadLetters, 'list' | 'redrive' | 'noteRedriver'>;
  accounts: readonly Account[];
  log?: (fields: Record<string, unknown>, message: string) => void;
};

/** The board over a queue. Rejects while that is not there. */
export const openBoard = async ({
  backend,
  lookup,
  findSignals,
  status,
  deadLetters,
  ...deps
}: Deps) =>
  createBoard({
    ...deps,
    signals: await backend.bullQueue(SIGNALS),
    deadLetters: await backend.bullQueue(DEAD_LETTERS),
    noteRedriver: deadLetters.noteRedriver,
    pages: {
      find: lookup.find,
      history: backend.history,
      status,
      search: findSignals.byAny,
      redrive: deadLetters.redrive,
      newestLetters: async (limit) => (await deadLetters.list({ limit })).deadLetters,
    },
  });
