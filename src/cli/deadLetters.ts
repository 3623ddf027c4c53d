import { setTimeout as wait } from 'node:timers/promises';

import { ConfigError } from '../config.ts';
import type { LetterView } from '../queue/deadLetters.ts';
import type { LetterFilter } from '../queue/letterFilter.ts';
import type { Desk } from './desk.ts';
import { atDesk, complain, type Output, print } from './inspect.ts';
import { renderCounts, renderLetter, renderLetters } from './render.ts';

const PAGE = 100;

export type FilterOptions = {
  code?: string;
  type?: string;
  since?: string;
  until?: string;
  application?: string;
  text?: string;
  limit?: string;
};

/** `seek-signals dead-letters list` */
export const list = (env: NodeJS.ProcessEnv, options: FilterOptions & Output): Promise<number> =>
  atDesk(env, async (desk) => {
    print(await collect(desk, readFilter(options)), options, renderLetters);
    return 0;
  });

/** `seek-signals dead-letters counts` */
export const counts = (env: NodeJS.ProcessEnv, options: FilterOptions & Output): Promise<number> =>
  atDesk(env, async (desk) => {
    print(await desk.countLetters(readFilter(options)), options, renderCounts);
    return 0;
  });

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

type RedriveOptions = FilterOptions & Output & { dryRun?: boolean; rate?: string };

/** `seek-signals dead-letters redrive [ID…]`: those named, or all that the filter takes. */
export const redrive = (
  env: NodeJS.ProcessEnv,
  ids: string[],
  options: RedriveOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> =>
  atDesk(env, async (desk) => {
    const filter = readFilter(options);
    if (ids.length > 0 && Object.values(filter).some((value) => value !== undefined)) {
      throw new ConfigError('Give signal ids or a filter, not both');
    }
    const rate = readNumber('rate', options.rate);
    const chosen = ids.length > 0 ? ids : (await collect(desk, filter)).map(idOf);
    if (options.dryRun) {
      print(
        { wouldRedrive: chosen },
        options,
        () => `would redrive ${chosen.length}\n${chosen.join('\n')}`,
      );
      return 0;
    }
    const redriven: string[] = [];
    const stop = new AbortController();
    void termination.then(() => stop.abort());
    for (const id of chosen) {
      if (stop.signal.aborted) break;
      const outcome = await desk.redrive(id);
      if (outcome === 'redriven') redriven.push(id);
      else
        complain(`${id}: ${outcome === 'busy' ? 'is on its way already' : 'no such dead letter'}`);
      if (rate !== undefined) await wait(1000 / rate, undefined, stop).catch(() => {});
    }
    if (stop.signal.aborted) complain('Stopped; run it again for the rest');
    print({ redriven }, options, () => `redriven ${redriven.length} of ${chosen.length}`);
    return redriven.length === chosen.length ? 0 : 1;
  });

/** `seek-signals dead-letters discard ID…` */
export const discard = (
  env: NodeJS.ProcessEnv,
  ids: string[],
  options: Output & { reason: string },
): Promise<number> =>
  atDesk(env, async (desk) => {
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

const idOf = ({ signalId }: LetterView): string => signalId;

const collect = async (desk: Desk, { limit, ...filter }: LetterFilter): Promise<LetterView[]> => {
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

const readFilter = ({
  since,
  until,
  application,
  limit,
  ...rest
}: FilterOptions): LetterFilter => ({
  ...{ code: rest.code, type: rest.type, applicationId: application, text: rest.text },
  since: readDate('since', since),
  until: readDate('until', until),
  limit: readCount(limit),
});

const readDate = (name: string, text: string | undefined): Date | undefined => {
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw new ConfigError(`--${name} is not a date: ${text}`);
  return date;
};

const readCount = (text: string | undefined): number | undefined => {
  const limit = readNumber('limit', text);
  if (limit !== undefined && !Number.isInteger(limit)) {
    throw new ConfigError(`--limit is not a whole number: ${text}`);
  }
  return limit;
};

const readNumber = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number > 0)) throw new ConfigError(`--${name} is not a number above 0: ${text}`);
  return number;
};
