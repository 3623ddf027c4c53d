import { ConfigError } from '../../config/config.ts';
import type { DeadLetterView } from '../../deadLetters/deadLetters.ts';
import type { DeadLetterFilter } from '../../deadLetters/filter.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import { withAdminClient } from '../admin/withAdminClient.ts';
import { type FilterOptions, readFilter, readOptions } from '../io/filterOptions.ts';
import { type OutputOptions, printMessage, printResult } from '../io/output.ts';
import { renderCounts, renderDeadLetter, renderDeadLetters } from '../io/renderDeadLetters.ts';

/** `seek-signals dead-letters list` */
export const list = (
  env: NodeJS.ProcessEnv,
  options: FilterOptions & OutputOptions,
): Promise<number> => {
  const filter = readOptions((addProblem) => readFilter(options, addProblem));
  return withAdminClient(env, 'dead-letters', async (admin) => {
    printResult(await collectDeadLetters(admin, filter), options, renderDeadLetters);
    return 0;
  });
};

/** `seek-signals dead-letters counts` */
export const counts = (
  env: NodeJS.ProcessEnv,
  options: FilterOptions & OutputOptions,
): Promise<number> => {
  const filter = readOptions((addProblem) => readFilter(options, addProblem));
  return withAdminClient(env, 'dead-letters', async (admin) => {
    printResult(await admin.countDeadLetters(filter), options, renderCounts);
    return 0;
  });
};

/** `seek-signals dead-letters show ID` */
export const show = (
  env: NodeJS.ProcessEnv,
  signalId: string,
  output: OutputOptions,
): Promise<number> =>
  withAdminClient(env, 'dead-letters', async (admin) => {
    const deadLetter = await admin.deadLetter(signalId);
    if (deadLetter === undefined) {
      printMessage(`Dead letter ${signalId} not found`);
      return 1;
    }
    printResult(deadLetter, output, renderDeadLetter);
    return 0;
  });

/** `seek-signals dead-letters discard ID…` */
export const discard = (
  env: NodeJS.ProcessEnv,
  ids: string[],
  options: OutputOptions & { reason: string },
): Promise<number> => {
  // The reason is the only record of why the signal was given up.
  if (options.reason.trim() === '') throw new ConfigError('--reason must not be empty');
  return withAdminClient(env, 'dead-letters', async (admin) => {
    const discarded: string[] = [];
    for (const id of ids) {
      const outcome = await admin.discard(id, options.reason);
      if (outcome === 'discarded') discarded.push(id);
      else
        printMessage(`${id}: ${outcome === 'busy' ? 'is being redriven' : 'no such dead letter'}`);
    }
    printResult({ discarded }, options, () => `discarded ${discarded.length} of ${ids.length}`);
    return discarded.length === ids.length ? 0 : 1;
  });
};

const PAGE_SIZE = 100;

/** Reads every dead letter that matches the filter, page by page, up to its limit. */
export const collectDeadLetters = async (
  admin: Pick<AdminClient, 'deadLetters'>,
  { limit, ...filter }: DeadLetterFilter,
): Promise<DeadLetterView[]> => {
  const deadLetters: DeadLetterView[] = [];
  let cursor: string | undefined;
  do {
    const size = Math.min(PAGE_SIZE, (limit ?? Number.POSITIVE_INFINITY) - deadLetters.length);
    if (size <= 0) break;
    const page = await admin.deadLetters({ ...filter, limit: size, cursor });
    deadLetters.push(...page.deadLetters);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return deadLetters;
};
