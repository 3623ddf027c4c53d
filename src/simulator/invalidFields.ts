import type { ZodError } from 'zod';

import { type InvalidFields, toPointer } from '../schemas/invalidFields.ts';

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
