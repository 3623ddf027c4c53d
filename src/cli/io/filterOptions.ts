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

type AddProblem = (problem: string) => void;

/** Throws one `ConfigError` that lists every problem with the options, one per line. */
export const readOptions = <Options>(read: (addProblem: AddProblem) => Options): Options => {
  const problems: string[] = [];
  const options = read((problem) => problems.push(problem));
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return options;
};

export const readFilter = (
  { code, type, since, until, application, position, text, limit }: FilterOptions,
  addProblem: AddProblem,
): DeadLetterFilter => ({
  code,
  type,
  applicationId: application,
  positionProfileId: position,
  text,
  since: readDate('since', since, addProblem),
  until: readDate('until', until, addProblem),
  limit: readWholeNumber('limit', limit, addProblem),
});

const readDate = (
  name: string,
  text: string | undefined,
  addProblem: AddProblem,
): Date | undefined => {
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    addProblem(`--${name} must be a date, not ${JSON.stringify(text)}`);
  return date;
};

const readWholeNumber = (
  name: string,
  text: string | undefined,
  addProblem: AddProblem,
): number | undefined => {
  const number = readNumber(name, text, addProblem);
  if (number !== undefined && number > 0 && !Number.isInteger(number)) {
    addProblem(`--${name} must be a whole number, not ${JSON.stringify(text)}`);
  }
  return number;
};

export const readNumber = (
  name: string,
  text: string | undefined,
  addProblem: AddProblem,
): number | undefined => {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number > 0)) {
    addProblem(`--${name} must be a number above 0, not ${JSON.stringify(text)}`);
  }
  return number;
};
