import type { InvalidFields } from '../../schemas/invalidFields.ts';
import { prefixPointers } from './graphqlErrors.ts';
import type { SignalInput, StateInput, StatusInput } from './schema.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
// Object identifiers have at most 255 characters and 255 UTF-8 bytes. The byte limit implies the other.
const MAX_IDENTIFIER_BYTES = 255;

const DOCUMENTATION_TOKEN_PREFIX = 'globalPublicTest-';

/** Whether the token comes from SEEK's documentation: test data that live credentials may not access. */
export const isPublicTestData = ({ token }: SignalInput): boolean =>
  token?.startsWith(DOCUMENTATION_TOKEN_PREFIX) ?? false;

// SEEK reports no error for an expired token, so the simulator accepts `expired-…`.
const isBadToken = (token: string) =>
  token === '' || token.replace(DOCUMENTATION_TOKEN_PREFIX, '').startsWith('invalid-');

const isBadIdentifier = (id: string) => id === '' || Buffer.byteLength(id) > MAX_IDENTIFIER_BYTES;

type RuleContext = { typeCodes: readonly string[]; now: number };

const checkIdentifiers = (signal: SignalInput): InvalidFields => {
  const { token, candidateApplicationProfileId, positionProfileIds } = signal;
  const checks: [pointer: string, isBad: boolean][] = [
    ['/token', typeof token === 'string' && isBadToken(token)],
    [
      '/candidateApplicationProfileId',
      typeof candidateApplicationProfileId === 'string' &&
        isBadIdentifier(candidateApplicationProfileId),
    ],
    ...(positionProfileIds ?? []).map((id, n): [pointer: string, isBad: boolean] => [
      `/positionProfileIds/${n}`,
      isBadIdentifier(id),
    ]),
  ];

  return Object.fromEntries(
    checks.filter(([, isBad]) => isBad).map(([pointer]) => [pointer, 'Is not valid']),
  );
};

/** The fields that each signal type requires. A type unknown to this function requires none. */
const checkRequired = (signal: SignalInput): InvalidFields => {
  const { typeCode, token, candidateApplicationProfileId, positionProfileIds, current } = signal;
  const missingState = current ? {} : { '/current': 'Is required' };

  switch (typeCode) {
    case 'ApplicationComplete':
      return token == null ? { '/token': 'Is required' } : {};
    case 'ApplicationStatusUpdate':
      return token == null && candidateApplicationProfileId == null
        ? { '/token': 'Is required, or candidateApplicationProfileId', ...missingState }
        : missingState;
    case 'PositionStatusUpdate':
      return positionProfileIds?.length
        ? missingState
        : { '/positionProfileIds': 'Is required', ...missingState };
    default:
      return {};
  }
};

// SEEK's rules for the index are loose: it accepts 0, and an index above the total.
const checkStatus = ({ index, total }: StatusInput): InvalidFields => ({
  ...(index < 0 && { '/index': 'Must not be negative' }),
  ...(total < 0 && { '/total': 'Must not be negative' }),
});

const checkTimestamp = (value: string | null | undefined, now: number): InvalidFields =>
  value != null && Date.parse(value) > now + DAY_MS
    ? { '/timestamp': 'Is too far in the future' }
    : {};

const checkState = (value: StateInput | null | undefined, now: number): InvalidFields =>
  value
    ? {
        ...prefixPointers('/status', checkStatus(value.status)),
        ...prefixPointers('/phase', value.phase ? checkStatus(value.phase) : {}),
        ...checkTimestamp(value.timestamp, now),
      }
    : {};

/** The problems that SEEK reports for a signal whose types are valid. Pointers are relative to the signal. */
export const findProblems = (
  signal: SignalInput,
  { typeCodes, now }: RuleContext,
): InvalidFields => ({
  ...(typeCodes.includes(signal.typeCode) ? {} : { '/typeCode': 'Is not a known signal type' }),
  ...checkIdentifiers(signal),
  ...checkRequired(signal),
  ...prefixPointers('/current', checkState(signal.current, now)),
  ...prefixPointers('/previous', checkState(signal.previous, now)),
  ...checkTimestamp(signal.timestamp, now),
});
