import type * as z from 'zod';

/** What is wrong, by JSON pointer (RFC 6901) into what was given. Never repeats a value. */
export type InvalidFields = Record<string, string>;

export const toPointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

const messageOf = (issue: z.core.$ZodIssue): string =>
  issue.code === 'invalid_type' && issue.input === undefined ? 'Is required' : issue.message;

export const toInvalidFields = ({ issues }: z.ZodError): InvalidFields => {
  const fields: InvalidFields = {};
  const add = (pointer: string, message: string) => {
    const earlier = fields[pointer];
    fields[pointer] = earlier === undefined ? message : `${earlier}; ${message}`;
  };

  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) add(toPointer([...issue.path, key]), 'Unknown field');
    } else {
      add(toPointer(issue.path), messageOf(issue));
    }
  }

  return fields;
};
