import type { SeekError } from '../schemas/seekApi.ts';
import type { SendResult } from './classify.ts';

// RFC 6901, 4: an index has no leading zeros.
const POINTER = /^\/input\/signals\/(0|[1-9]\d?)(?:\/|$)/;

/**
 * Which rows of a refused batch the answer blames, each with the errors that are its own, told as if
 * it had been sent alone. Empty where the answer blames anything but rows: then nobody is judged.
 */
export const namedRows = (result: SendResult, rows: number): Map<number, SeekError[]> => {
  const named = new Map<number, SeekError[]>();
  if (result.kind !== 'refused') return named;

  for (const error of result.errors) {
    if (error.extensions?.code !== 'BAD_USER_INPUT') return new Map();
    for (const [row, fields] of fieldsByRow(error.extensions.invalidFields, rows)) {
      const own = { ...error, extensions: { ...error.extensions, invalidFields: fields } };
      named.set(row, [...(named.get(row) ?? []), own]);
    }
  }
  return named;
};

const fieldsByRow = (invalidFields: unknown, rows: number) => {
  const byRow = new Map<number, Record<string, unknown>>();
  if (typeof invalidFields !== 'object' || invalidFields === null) return byRow;
  for (const [pointer, problem] of Object.entries(invalidFields)) {
    const row = Number(POINTER.exec(pointer)?.[1] ?? Number.NaN);
    if (!(row < rows)) continue;
    const own = pointer.replace(/^\/input\/signals\/\d+/, '/input');
    const fields = byRow.get(row) ?? {};
    fields[own] = problem;
    byRow.set(row, fields);
  }
  return byRow;
};
