import { ConfigError } from '../../config/config.ts';
import type { LetterView } from '../../deadLetters/deadLetters.ts';
import type { LetterFilter } from '../../deadLetters/filter.ts';
import type { Desk } from '../admin/adminClient.ts';
import { type FilterOptions, readFilter, withoutProblems } from '../io/filterOptions.ts';
import { renderCounts, renderLetter, renderLetters } from '../io/renderDeadLetters.ts';
import { atDesk, complain, type Output, print } from './inspect.ts';

/** `seek-signals dead-letters list` */
export const list = (env: NodeJS.ProcessEnv, options: FilterOptions & Output): Promise<number> => {
  const filter = withoutProblems((refuse) => readFilter(options, refuse));
  return atDesk(env, async (desk) => {
    print(await collectLetters(desk, filter), options, renderLetters);
    return 0;
  });
};

/** `seek-signals dead-letters counts` */
export const counts = (
  env: NodeJS.ProcessEnv,
  options: FilterOptions & Output,
): Promise<number> => {
  const filter = withoutProblems((refuse) => readFilter(options, refuse));
  return atDesk(env, async (desk) => {
    print(await desk.countLetters(filter), options, renderCounts);
    return 0;
  });
};

/** `seek-signals dead-letters show ID` */
export const show = (env: NodeJS.ProcessEnv, signalId: string, output: Output): Promise<number> =>
  atDesk(env, async (desk) => {
    const letter = await desk.letter(signalId);
    if (letter === undefined) {
      complain(`No dead letter ${signalId}`);
      return 1;
    }
    print(letter, output, renderLetter);
    return 0;
  });

/** `seek-signals dead-letters discard ID…` */
export const discard = (
  env: NodeJS.ProcessEnv,
  ids: string[],
  options: Output & { reason: string },
): Promise<number> => {
  // Nobody could tell afterwards why.
  if (options.reason.trim() === '') throw new ConfigError('--reason must not be empty');
  return atDesk(env, async (desk) => {
    const discarded: string[] = [];
    for (const id of ids) {
      const outcome = await desk.discard(id, options.reason);
      if (outcome === 'discarded') discarded.push(id);
      else
        complain(
          `${id}: ${outcome === 'busy' ? 'is on its way to the queue' : 'no such dead letter'}`,
        );
    }
    print({ discarded }, options, () => `discarded ${discarded.length} of ${ids.length}`);
    return discarded.length === ids.length ? 0 : 1;
  });
};

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
