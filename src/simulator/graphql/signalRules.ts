import type { InvalidFields } from '../../schemas/invalidFields.ts';
import { nest } from './graphqlErrors.ts';
import type { SignalInput, StateInput, StatusInput } from './schema.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
// Object identifiers: at most 255 characters and 255 UTF-8 bytes, so bytes decide.
const IDENTIFIER_MAX_BYTES = 255;

const DOCUMENTATION_TOKEN = 'globalPublicTest-';

/** A token from SEEK's documentation: test data, which live credentials may not touch. */
export const isPublicTestData = ({ token }: SignalInput): boolean =>
  token?.startsWith(DOCUMENTATION_TOKEN) ?? false;

// A token that has expired gets no error from SEEK, so `expired-…` is not told apart here.
const isBadToken = (token: string) => token === '' || token.startsWith('invalid-');

const isBadIdentifier = (id: string) => id === '' || Buffer.byteLength(id) > IDENTIFIER_MAX_BYTES;

type Rules = { typeCodes: readonly string[]; now: number };

const identifiers = (signal: SignalInput): InvalidFields => {
  const { token, candidateApplicationProfileId, positionProfileIds } = signal;
  const named: [string, boolean][] = [
    ['/token', typeof token === 'string' && isBadToken(token)],
    [
      '/candidateApplicationProfileId',
      typeof candidateApplicationProfileId === 'string' &&
        isBadIdentifier(candidateApplicationProfileId),
    ],
    ...(positionProfileIds ?? []).map((id, n): [string, boolean] => [
      `/positionProfileIds/${n}`,
      isBadIdentifier(id),
    ]),
  ];

  return Object.fromEntries(
    named.filter(([, isBad]) => isBad).map(([pointer]) => [pointer, 'Is not valid']),
  );
};

/** Which identifier goes with which signal type; a type we do not know asks for nothing. */
const required = (signal: SignalInput): InvalidFields => {
  const { typeCode, token, candidateApplicationProfileId, positionProfileIds, current } = signal;
  const withoutState = current ? {} : { '/current': 'Is required' };

  switch (typeCode) {
    case 'ApplicationComplete':
      return token == null ? { '/token': 'Is required' } : {};
    case 'ApplicationStatusUpdate':
      return token == null && candidateApplicationProfileId == null
        ? { '/token': 'Is required, or candidateApplicationProfileId', ...withoutState }
        : withoutState;
    case 'PositionStatusUpdate':
      return positionProfileIds?.length
        ? withoutState
        : { '/positionProfileIds': 'Is required', ...withoutState };
    default:
      return {};
  }
};

// SEEK's position rules are loose: 0 and an index above the total pass.
const status = ({ index, total }: StatusInput): InvalidFields => ({
  ...(index < 0 && { '/index': 'Must not be negative' }),
  ...(total < 0 && { '/total': 'Must not be negative' }),
});

const timestamp = (value: string | null | undefined, now: number): InvalidFields =>
  value != null && Date.parse(value) > now + DAY_MS
    ? { '/timestamp': 'Is too far in the future' }
    : {};

const state = (value: StateInput | null | undefined, now: number): InvalidFields =>
  value
    ? {
        ...nest('/status', status(value.status)),
        ...nest('/phase', value.phase ? status(value.phase) : {}),
        ...timestamp(value.timestamp, now),
      }
    : {};

/** What SEEK would find wrong with a signal whose types are right. Pointers are relative to it. */
export const problemsOf = (signal: SignalInput, { typeCodes, now }: Rules): InvalidFields => ({
  ...(typeCodes.includes(signal.typeCode) ? {} : { '/typeCode': 'Is not a known signal type' }),
  ...identifiers(signal),
  ...required(signal),
  ...nest('/current', state(signal.current, now)),
  ...nest('/previous', state(signal.previous, now)),
  ...timestamp(signal.timestamp, now),
});
