import { type Backend, DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import { createDeadLetters } from '../queue/deadLetters.ts';
import { createFindSignals } from '../queue/findSignals.ts';
import { createQueueStatus } from '../queue/queueStatus.ts';
import { createSignalLives } from '../queue/signalLives.ts';
import { createBoard } from './createBoard.ts';
import type { Account } from './login.ts';

type Deps = {
  backend: Backend;
  accounts: readonly Account[];
  log?: (fields: Record<string, unknown>, message: string) => void;
};

/** The board over a queue. Rejects while that is not there. */
export const openBoard = async ({ backend, ...deps }: Deps) => {
  const { find } = createSignalLives(backend);
  const deadLetters = createDeadLetters({ backend });

  return createBoard({
    ...deps,
    signals: await backend.bullQueue(SIGNALS),
    deadLetters: await backend.bullQueue(DEAD_LETTERS),
    noteRedriver: deadLetters.noteRedriver,
    pages: {
      ...{ find, history: backend.history, status: createQueueStatus(backend) },
      search: createFindSignals({ backend, lives: { find } }).byAny,
      redrive: deadLetters.redrive,
      newestLetters: async (limit) => (await deadLetters.list({ limit })).deadLetters,
    },
  });
};
