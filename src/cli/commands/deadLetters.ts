import { ConfigError } from '../../config/config.ts';
import type { DeadLetterView } from '../../deadLetters/deadLetters.ts';
import type { DeadLetterFilter } from '../../deadLetters/filter.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import { type FilterOptions, readFilter, withoutProblems } from '../io/filterOptions.ts';
import { renderCounts, renderDeadLetter, renderDeadLetters } from '../io/renderDeadLetters.ts';
import { complain, type Output, print, withAdminClient } from './inspect.ts';

/** `seek-signals dead-letters list` */
export const list = (env: NodeJS.ProcessEnv, options: FilterOptions & Output): Promise<number> => {
  const filter = withoutProblems((refuse) => readFilter(options, refuse));
  return withAdminClient(env, async (admin) => {
    print(await collectDeadLetters(admin, filter), options, renderDeadLetters);
    return 0;
  });
};

/** `seek-signals dead-letters counts` */
export const counts = (
  env: NodeJS.ProcessEnv,
  options: FilterOptions & Output,
): Promise<number> => {
  const filter = withoutProblems((refuse) => readFilter(options, refuse));
  return withAdminClient(env, async (admin) => {
    print(await admin.countLetters(filter), options, renderCounts);
    return 0;
  });
};

/** `seek-signals dead-letters show ID` */
export const show = (env: NodeJS.ProcessEnv, signalId: string, output: Output): Promise<number> =>
  withAdminClient(env, async (admin) => {
    const deadLetter = await admin.deadLetter(signalId);
    if (deadLetter === undefined) {
      complain(`No dead letter ${signalId}`);
      return 1;
    }
    print(deadLetter, output, renderDeadLetter);
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
  return withAdminClient(env, async (admin) => {
    const discarded: string[] = [];
    for (const id of ids) {
      const outcome = await admin.discard(id, options.reason);
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
export const collectDeadLetters = async (
  admin: Pick<AdminClient, 'deadLetters'>,
  { limit, ...filter }: DeadLetterFilter,
): Promise<DeadLetterView[]> => {
  const deadLetters: DeadLetterView[] = [];
  let cursor: string | undefined;
  do {
    const wanted = Math.min(PAGE, (limit ?? Number.POSITIVE_INFINITY) - deadLetters.length);
    if (wanted <= 0) break;
    const page = await admin.deadLetters({ ...filter, limit: wanted, cursor });
    deadLetters.push(...page.deadLetters);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return deadLetters;
};
