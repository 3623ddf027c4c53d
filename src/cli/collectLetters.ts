import type { LetterView } from '../queue/deadLetters.ts';
import type { LetterFilter } from '../queue/letterFilter.ts';
import type { Desk } from './desk.ts';

const PAGE = 100;

/** All that the filter takes, page by page. */
export const collectLetters = async (
  desk: Pick<Desk, 'letters'>,
  { limit, ...filter }: LetterFilter,
): Promise<LetterView[]> => {
  const letters: LetterView[] = [];
  let cursor: string | undefined;
  do {
    const wanted = Math.min(PAGE, (limit ?? Number.POSITIVE_INFINITY) - letters.length);
    if (wanted <= 0) break;
    const page = await desk.letters({ ...filter, limit: wanted, cursor });
    letters.push(...page.deadLetters);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return letters;
};
