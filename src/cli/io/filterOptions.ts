import { ConfigError } from '../../config/config.ts';
import type { DeadLetterFilter } from '../../deadLetters/filter.ts';

export type FilterOptions = {
  code?: string;
  type?: string;
  since?: string;
  until?: string;
  application?: string;
  position?: string;
  text?: string;
  limit?: string;
};

/** Collects what is wrong with a command's options, to be told at once. */
type Refuse = (problem: string) => void;

/** Throws `ConfigError` with every problem, one a line. */
export const withoutProblems = <Read>(read: (refuse: Refuse) => Read): Read => {
  const problems: string[] = [];
  const options = read((problem) => problems.push(problem));
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return options;
};

export const readFilter = (
  { since, until, application, position, limit, ...rest }: FilterOptions,
  refuse: Refuse,
): DeadLetterFilter => ({
  ...{ code: rest.code, type: rest.type, applicationId: application, text: rest.text },
  positionProfileId: position,
  since: readDate('since', since, refuse),
  until: readDate('until', until, refuse),
  limit: readCount(limit, refuse),
});

const readDate = (name: string, text: string | undefined, refuse: Refuse): Date | undefined => {
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) refuse(`--${name} is not a date: ${text}`);
  return date;
};

const readCount = (text: string | undefined, refuse: Refuse): number | undefined => {
  const limit = readNumber('limit', text, refuse);
  if (limit !== undefined && limit > 0 && !Number.isInteger(limit)) {
    refuse(`--limit is not a whole number: ${text}`);
  }
  return limit;
};

export const readNumber = (
  name: string,
  text: string | undefined,
  refuse: Refuse,
): number | undefined => {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number > 0)) refuse(`--${name} is not a number above 0: ${text}`);
  return number;
};
