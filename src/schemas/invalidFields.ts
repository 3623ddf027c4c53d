import type * as z from 'zod';

/**
 * Problems by JSON pointer (RFC 6901) into the input; the empty pointer means the whole input. Holds the
 * first 100 problems, and never a value of the input.
 */
export type InvalidFields = Record<string, string>;

export const toPointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

// A signal of a few MiB can have a million problems. Listing each would take gigabytes.
const MAX_PROBLEMS = 100;

const messageOf = (issue: z.core.$ZodIssue): string =>
  issue.code === 'invalid_type' && issue.input === undefined ? 'Is required' : issue.message;

export const toInvalidFields = ({ issues }: z.ZodError): InvalidFields => {
  const fields: InvalidFields = {};
  let named = 0;

  for (const { path, message } of problemsIn(issues)) {
    named += 1;
    const isLast = named > MAX_PROBLEMS;
    const pointer = isLast ? '' : toPointer(path);
    const text = isLast ? `Has more than ${MAX_PROBLEMS} problems` : message;
    const earlier = fields[pointer];
    fields[pointer] = earlier === undefined ? text : `${earlier}; ${text}`;
    if (isLast) break;
  }

  return fields;
};

// More would hide the rest of a board page or of an error message.
const MAX_PROBLEMS_IN_TEXT = 5;

/** The first five problems as one line of text. */
export const nameProblems = (fields: InvalidFields): string => {
  const problems = Object.entries(fields);
  const named = problems
    .slice(0, MAX_PROBLEMS_IN_TEXT)
    .map(([pointer, message]) => (pointer === '' ? message : `${pointer}: ${message}`));
  const more = problems.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
};

const problemsIn = function* (issues: readonly z.core.$ZodIssue[]) {
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) yield { path: [...issue.path, key], message: 'Unknown field' };
    } else {
      yield { path: issue.path, message: messageOf(issue) };
    }
  }
};
