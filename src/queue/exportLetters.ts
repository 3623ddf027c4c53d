import type { DeadLetter } from '../schemas/deadLetter.ts';
import { type Backend, DEAD_LETTERS } from './backend.ts';
import { type LetterFilter, matches } from './letterFilter.ts';
import { eachLetterOnce } from './letterPages.ts';

/**
 * Letters as they lie there, each with its signal, and so with its token: sealed if it is. Those that
 * a newer version wrote are left out, as they are from every list.
 */
export const createExportLetters = (backend: Pick<Backend, 'queue'>) =>
  async function* ({
    limit = Number.POSITIVE_INFINITY,
    ...filter
  }: LetterFilter): AsyncGenerator<DeadLetter> {
    let taken = 0;
    for await (const { letter } of eachLetterOnce(await backend.queue(DEAD_LETTERS))) {
      if (!matches(letter, filter)) continue;
      if (taken === limit) return;
      taken += 1;
      yield letter;
    }
  };

export type ExportLetters = ReturnType<typeof createExportLetters>;
