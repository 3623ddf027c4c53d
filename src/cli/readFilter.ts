import { ConfigError } from '../config.ts';
import type { LetterFilter } from '../queue/letterFilter.ts';

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

export const readFilter = ({
  since,
  until,
  application,
  position,
  limit,
  ...rest
}: FilterOptions): LetterFilter => ({
  ...{ code: rest.code, type: rest.type, applicationId: application, text: rest.text },
  positionProfileId: position,
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

export const readNumber = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number > 0)) throw new ConfigError(`--${name} is not a number above 0: ${text}`);
  return number;
};
