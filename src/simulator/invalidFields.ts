import type { ZodError } from 'zod';

/** What is wrong, keyed by JSON pointer: the shape of SEEK's own `invalidFields`. */
export type InvalidFields = Record<string, string>;

export const toPointer = (path: readonly PropertyKey[]): string =>
  path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Puts every pointer under `prefix`. */
export const nest = (prefix: string, fields: InvalidFields): InvalidFields =>
  Object.fromEntries(Object.entries(fields).map(([key, message]) => [prefix + key, message]));

export const fromZod = ({ issues }: ZodError): InvalidFields => {
  const fields: InvalidFields = {};

  for (const { path, message } of issues) {
    const pointer = toPointer(path);
    const earlier = fields[pointer];
    fields[pointer] = earlier === undefined ? message : `${earlier}; ${message}`;
  }

  return fields;
};
