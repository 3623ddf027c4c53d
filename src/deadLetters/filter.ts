import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/json.ts';

/** Selects dead letters. A dead letter matches if it meets every condition that is present. */
export type DeadLetterFilter = {
  code?: string | undefined;
  type?: string | undefined;
  /** Died at or after this time. */
  since?: Date | undefined;
  /** Died before this time. */
  until?: Date | undefined;
  /** The signal names this application. */
  applicationId?: string | undefined;
  /** The signal names this position, by `positionId` or by one of its position profiles. */
  positionProfileId?: string | undefined;
  /** The id, type, code or reason contains this text. Case does not matter. */
  text?: string | undefined;
  /** How many dead letters the caller wants at most. `matches` ignores it. */
  limit?: number | undefined;
};

export const matches = (deadLetter: DeadLetter, filter: DeadLetterFilter): boolean => {
  const { code, type, since, until, applicationId, positionProfileId, text } = filter;
  return (
    (code === undefined || deadLetter.code === code) &&
    (type === undefined || deadLetter.typeCode === type) &&
    (applicationId === undefined || applicationIdOf(deadLetter) === applicationId) &&
    (positionProfileId === undefined || positionsOf(deadLetter).includes(positionProfileId)) &&
    (text === undefined || containsText(deadLetter, text)) &&
    (since === undefined || Date.parse(deadLetter.diedAt) >= since.getTime()) &&
    (until === undefined || Date.parse(deadLetter.diedAt) < until.getTime())
  );
};

/** The application that the signal names. The job may be unreadable, so the value may be of any type. */
export const applicationIdOf = ({ job }: DeadLetter): unknown =>
  isObject(job) && isObject(job.signal) ? job.signal.applicationId : undefined;

const positionsOf = ({ job }: DeadLetter): readonly unknown[] => {
  if (!isObject(job) || !isObject(job.signal)) return [];
  const { positionId, positionProfileIds: profiles } = job.signal;
  return [positionId, ...(Array.isArray(profiles) ? profiles : [])];
};

const containsText = ({ signalId, typeCode, code, reason }: DeadLetter, text: string): boolean =>
  [signalId, typeCode, code, reason].join('\n').toLowerCase().includes(text.toLowerCase());
