import { type ParseOptions, parseSignal } from '../../src/schemas/parseSignal.ts';
import type { SeekSignal } from '../../src/schemas/signal.ts';

export const NOW = new Date('2026-03-03T00:00:00Z');

/** Calls `parseSignal` at the fixed time `NOW`, for the live audience. */
export const parse = (input: unknown, options: Partial<ParseOptions> = {}) =>
  parseSignal(input, {
    now: NOW,
    allowUnknownTypes: false,
    audience: 'https://graphql.seek.com',
    ...options,
  });

/** Returns the parsed signal; throws if the input is invalid. */
export const accepted = (input: unknown, options: Partial<ParseOptions> = {}) => {
  const parsed = parse(input, options);
  if (parsed.kind === 'invalid') throw new Error(`Rejected: ${JSON.stringify(parsed)}`);
  return parsed.signal;
};

/** Returns the parsed signal without the ATS's own ids, as it is sent to SEEK. */
export const acceptedBySeek = (input: unknown): SeekSignal => {
  const { applicationId, positionId, ...signal } = accepted(input);
  return signal;
};

/** Returns the problems of an input; an empty object if it is valid. */
export const problems = (input: unknown, options: Partial<ParseOptions> = {}) => {
  const parsed = parse(input, options);
  return parsed.kind === 'invalid' ? parsed.invalidFields : {};
};

/** Returns the warnings of an input; one text with the problems if it is invalid. */
export const warnings = (input: unknown, options: Partial<ParseOptions> = {}) => {
  const parsed = parse(input, options);
  return parsed.kind === 'valid' ? parsed.warnings : [`rejected: ${JSON.stringify(parsed)}`];
};
