import { type ParseOptions, parseSignal } from '../../src/schemas/parseSignal.ts';
import type { SeekSignal } from '../../src/schemas/signal.ts';

export const NOW = new Date('2026-03-03T00:00:00Z');

/** Reads a signal as the door does, at a time that stands still. */
export const parse = (input: unknown, options: Partial<ParseOptions> = {}) =>
  parseSignal(input, {
    now: NOW,
    allowUnknownTypes: false,
    audience: 'https://graphql.seek.com',
    ...options,
  });

/** The signal of an input that must be valid. */
export const accepted = (input: unknown, options: Partial<ParseOptions> = {}) => {
  const parsed = parse(input, options);
  if (parsed.kind === 'invalid') throw new Error(`Refused: ${JSON.stringify(parsed)}`);
  return parsed.signal;
};

/** The same as SEEK takes it: with a token of its own, and naming no application. */
export const acceptedBySeek = (input: unknown): SeekSignal => {
  const { applicationId, ...signal } = accepted(input);
  return signal;
};

/** The problems of an input; none where it is valid. */
export const problems = (input: unknown, options: Partial<ParseOptions> = {}) => {
  const parsed = parse(input, options);
  return parsed.kind === 'invalid' ? parsed.invalidFields : {};
};

/** The warnings of an input that must be valid. */
export const warnings = (input: unknown, options: Partial<ParseOptions> = {}) => {
  const parsed = parse(input, options);
  return parsed.kind === 'valid' ? parsed.warnings : [`refused: ${JSON.stringify(parsed)}`];
};
