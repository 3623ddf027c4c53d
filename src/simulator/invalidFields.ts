import type { InvalidFields } from '../schemas/invalidFields.ts';

/** Puts every pointer under `prefix`. */
export const nest = (prefix: string, fields: InvalidFields): InvalidFields =>
  Object.fromEntries(Object.entries(fields).map(([key, message]) => [prefix + key, message]));
