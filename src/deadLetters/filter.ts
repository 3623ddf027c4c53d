import type { DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/json.ts';

/** Which dead letters are meant: those of which all of it is true. */
export type DeadLetterFilter = {
  code?: string | undefined;
  type?: string | undefined;
  /** Died at or after. */
  since?: Date | undefined;
  /** Died before. */
  until?: Date | undefined;
  /** Of signals that name this application. */
  applicationId?: string | undefined;
  /** Of signals that name this position profile. */
  positionProfileId?: string | undefined;
  /** Stands somewhere in its id, type, code or reason, in whatever case. */
  text?: string | undefined;
  limit?: number | undefined;
};

export const matches = (deadLetter: DeadLetter, filter: DeadLetterFilter): boolean => {
  const { code, type, since, until, applicationId, positionProfileId, text } = filter;
  return (
    (code === undefined || deadLetter.code === code) &&
    (type === undefined || deadLetter.typeCode === type) &&
    (applicationId === undefined || applicationOf(deadLetter) === applicationId) &&
    (positionProfileId === undefined || positionsOf(deadLetter).includes(positionProfileId)) &&
    (text === undefined || holds(deadLetter, text)) &&
    (since === undefined || Date.parse(deadLetter.diedAt) >= since.getTime()) &&
    (until === undefined || Date.parse(deadLetter.diedAt) < until.getTime())
  );
};

/** Of a signal that names one; anything may stand there. */
export const applicationOf = ({ job }: DeadLetter): unknown =>
  isObject(job) && isObject(job.signal) ? job.signal.applicationId : undefined;

const positionsOf = ({ job }: DeadLetter): readonly unknown[] => {
  const ids = isObject(job) && isObject(job.signal) ? job.signal.positionProfileIds : undefined;
  return Array.isArray(ids) ? ids : [];
};

const holds = ({ signalId, typeCode, code, reason }: DeadLetter, text: string): boolean =>
  [signalId, typeCode, code, reason].join('\n').toLowerCase().includes(text.toLowerCase());
