import { toInvalidFields } from '../schemas/invalidFields.ts';
import { isObject } from '../schemas/json.ts';
import {
  type CandidateApplicationProfileInput,
  CandidateApplicationProfileInputSchema,
  type PositionInput,
  PositionInputSchema,
} from '../schemas/recordedIdentifiers.ts';
import {
  type SeekTokenInput,
  SeekTokenInputSchema,
  type TokenSource,
} from '../schemas/seekToken.ts';
import { InvalidIdentifierError, InvalidSeekTokenError } from './errors.ts';

/** Anything that identifies an application or a position to SEEK. */
export type IdentifierInput = SeekTokenInput | CandidateApplicationProfileInput | PositionInput;

/** A valid input, in the one form that is recorded. */
export type Recording = SeekTokenRecording | CandidateApplicationProfileInput | PositionRecording;

export type SeekTokenRecording = {
  applicationId: string;
  token: string;
  source: TokenSource;
  /** RFC 3339, in UTC, with milliseconds. */
  receivedAt: string;
};

export type PositionRecording = { positionId: string; positionProfileIds: string[] };

// Tolerates clocks that differ. A later time is a mistake, and would override newer tokens.
const MAX_FUTURE_MS = 24 * 60 * 60 * 1000;

/**
 * Validates a seek token, a candidate application profile or a position. Its fields say which it is.
 *
 * @throws {InvalidSeekTokenError} It is not a valid seek token, nor any other recording.
 * @throws {InvalidIdentifierError} It is not a valid candidate application profile or position.
 */
export const parseRecording = (input: unknown, now: number): Recording => {
  if (isObject(input) && 'positionId' in input) return parsePosition(input);
  if (isObject(input) && 'candidateApplicationProfileId' in input) {
    return parseCandidateApplicationProfile(input);
  }
  return parseSeekToken(input, now);
};

/** @throws {InvalidSeekTokenError} */
export const parseSeekToken = (input: unknown, now: number): SeekTokenRecording => {
  const parsed = SeekTokenInputSchema.safeParse(withReceivedAtText(input), { reportInput: true });
  if (!parsed.success) throw new InvalidSeekTokenError(toInvalidFields(parsed.error));
  const { receivedAt, ...recording } = parsed.data;
  const at = new Date(receivedAt ?? now);
  if (at.getTime() > now + MAX_FUTURE_MS) {
    throw new InvalidSeekTokenError({
      '/receivedAt': 'Must not be more than 24 hours in the future',
    });
  }
  return { ...recording, receivedAt: at.toISOString() };
};

/** @throws {InvalidIdentifierError} */
export const parseCandidateApplicationProfile = (
  input: unknown,
): CandidateApplicationProfileInput => {
  const parsed = CandidateApplicationProfileInputSchema.safeParse(input, { reportInput: true });
  if (!parsed.success) throw new InvalidIdentifierError(toInvalidFields(parsed.error));
  return parsed.data;
};

/** @throws {InvalidIdentifierError} */
export const parsePosition = (input: unknown): PositionRecording => {
  const parsed = PositionInputSchema.safeParse(input, { reportInput: true });
  if (!parsed.success) throw new InvalidIdentifierError(toInvalidFields(parsed.error));
  return parsed.data;
};

/**
 * Turns a `Date` into text, so that one schema reads both. An invalid `Date` is left for the schema to
 * reject.
 */
const withReceivedAtText = (input: unknown): unknown =>
  typeof input === 'object' &&
  input !== null &&
  'receivedAt' in input &&
  input.receivedAt instanceof Date &&
  !Number.isNaN(input.receivedAt.getTime())
    ? { ...input, receivedAt: input.receivedAt.toISOString() }
    : input;
