import { isUtcDateTime } from './dateTime.ts';
import { fitsIdentifier, isTrimmed } from './identifiers.ts';
import { isObject } from './json.ts';
import { fitsApplicationId } from './seekToken.ts';
import { type NewSignalJob, SIGNAL_JOB_VERSION, type SignalJob } from './signalJob.ts';
import { isTraceparent, isTracestate } from './traceContext.ts';

/**
 * Reads the data of a job exactly as `SignalJobSchema` does, but only the job that nearly every job is: of
 * this version, as a producer writes it, with nothing recorded by a worker yet. Returns `undefined` for any
 * other data, valid or not: ask the schema then. `data` is what `JSON.parse` returned; the result shares
 * its signal.
 *
 * It exists because a worker reads every job, and the schema takes about twenty times as long. Whatever it
 * accepts, the schema must read as the same job: a property test holds it to that. When in doubt, refuse.
 */
export const readPlainJob = (data: unknown): SignalJob | undefined =>
  // The defaults come first, because V8 takes microseconds to add a property after a spread.
  isPlainJob(data) ? { redrives: 0, attempts: [], ...data } : undefined;

const isPlainJob = (data: unknown): data is NewSignalJob => {
  if (!isObject(data) || data.version !== SIGNAL_JOB_VERSION) return false;
  const { signal, acceptedAt, acceptedFrom, encryptedToken, contentId } = data;
  const { dedupeWindowMs, reportTo, traceparent, tracestate } = data;
  const optional = [encryptedToken, contentId, dedupeWindowMs, reportTo, traceparent, tracestate];
  return (
    isPlainSignal(signal) &&
    isUtcDateTime(acceptedAt) &&
    typeof acceptedFrom === 'string' &&
    (encryptedToken === undefined || isEncryptedToken(encryptedToken)) &&
    (contentId === undefined || typeof contentId === 'string') &&
    (dedupeWindowMs === undefined || Number.isFinite(dedupeWindowMs)) &&
    (reportTo === undefined || reportTo === 'outbox') &&
    (traceparent === undefined || isTraceparent(traceparent)) &&
    (tracestate === undefined || isTracestate(tracestate)) &&
    hasNoOtherKeys(data, 4, optional)
  );
};

const isEncryptedToken = (value: unknown): boolean =>
  isObject(value) &&
  typeof value.ciphertext === 'string' &&
  typeof value.fingerprint === 'string' &&
  hasNoOtherKeys(value, 2);

/** What `AnySignalSchema` returns unchanged: parsed before, all timestamps in UTC, positions as a list. */
const isPlainSignal = (value: unknown): boolean => {
  if (!isObject(value)) return false;
  const { typeCode, token, candidateApplicationProfileId: profileId, positionProfileIds } = value;
  const { current, previous, timestamp, applicationId, positionId } = value;
  const optional = [
    token,
    profileId,
    positionProfileIds,
    current,
    previous,
    timestamp,
    applicationId,
    positionId,
  ];
  return (
    isExactText(typeCode) &&
    (token === undefined || isExactText(token)) &&
    (profileId === undefined || isIdentifier(profileId)) &&
    (positionProfileIds === undefined || isIdentifiers(positionProfileIds)) &&
    (current === undefined || isState(current)) &&
    (previous === undefined || isState(previous)) &&
    (timestamp === undefined || isSignalDateTime(timestamp)) &&
    (applicationId === undefined || isApplicationId(applicationId)) &&
    (positionId === undefined || isApplicationId(positionId)) &&
    hasNoOtherKeys(value, 1, optional)
  );
};

const isState = (value: unknown): boolean => {
  if (!isObject(value)) return false;
  const { status, timestamp, phase, success } = value;
  return (
    isRank(status) &&
    isSignalDateTime(timestamp) &&
    (phase === undefined || isRank(phase)) &&
    (success === undefined || success === null || typeof success === 'boolean') &&
    hasNoOtherKeys(value, 2, [phase, success])
  );
};

const isRank = (value: unknown): boolean =>
  isObject(value) &&
  isText(value.label) &&
  isCount(value.index) &&
  isCount(value.total) &&
  hasNoOtherKeys(value, 3);

const MAX_INT_32 = 2 ** 31 - 1;

const isCount = (value: unknown): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_INT_32;

const isIdentifiers = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(isIdentifier);

const isIdentifier = (value: unknown): boolean => isExactText(value) && fitsIdentifier(value);

const isApplicationId = (value: unknown): boolean => isExactText(value) && fitsApplicationId(value);

const isExactText = (value: unknown): value is string => isText(value) && isTrimmed(value);

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.isWellFormed() && !value.includes('\0');

const isSignalDateTime = (value: unknown): boolean =>
  isUtcDateTime(value) && !value.startsWith('0000');

/**
 * Whether an object, whose required keys are known to be present, holds besides them only those of the
 * `optional` values that are defined. A key with the value `undefined` counts as another: the schema keeps it.
 */
const hasNoOtherKeys = (
  object: object,
  required: number,
  optional: readonly unknown[] = [],
): boolean => {
  let expected = required;
  for (const value of optional) if (value !== undefined) expected += 1;
  return Object.keys(object).length === expected;
};
