import { maskToken } from '../../observability/redact.ts';
import { isObject } from '../../schemas/json.ts';
import type { RecordIdentifiers } from '../recordIdentifiers.ts';
import type { LockedRecord, RecordResult } from './rows.ts';

/**
 * Records the identifiers of the rows. Those of one application or position go together, in order; a
 * failure of the queue leaves only them pending. Resolves with the results of all others, and with the first
 * failure.
 */
export const recordAll = async (
  recordMany: RecordIdentifiers['recordMany'],
  rows: readonly LockedRecord[],
): Promise<{ results: RecordResult[]; failure?: unknown }> => {
  const settled = await Promise.allSettled(
    groupBySubject(rows).map((group) => recordGroup(recordMany, group)),
  );
  const results = settled.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  const failed = settled.find((one) => one.status === 'rejected');
  return failed === undefined ? { results } : { results, failure: failed.reason };
};

const recordGroup = async (
  recordMany: RecordIdentifiers['recordMany'],
  group: readonly LockedRecord[],
): Promise<RecordResult[]> => {
  const results = await recordMany(group.map(({ record }) => record));
  return group.map(({ id }, index): RecordResult => {
    const result = results[index];
    if (result === undefined) throw new Error('recordMany returned no result for an outbox row');
    return 'invalidFields' in result
      ? { kind: 'rejected', id, reason: JSON.stringify(result.invalidFields) }
      : { kind: 'recorded', id };
  });
};

const groupBySubject = (rows: readonly LockedRecord[]): LockedRecord[][] => {
  const groups = new Map<string, LockedRecord[]>();
  for (const row of rows) {
    const subject = subjectOf(row);
    const group = groups.get(subject);
    if (group === undefined) groups.set(subject, [row]);
    else group.push(row);
  }
  return [...groups.values()];
};

const subjectOf = ({ id, record }: LockedRecord): string => {
  if (!isObject(record)) return `row ${id}`;
  return 'positionId' in record
    ? `position ${JSON.stringify(record.positionId)}`
    : `application ${JSON.stringify(record.applicationId)}`;
};

// All but the token. Any other field of a row written by hand may hold a token under another name.
const KEPT_FIELDS = [
  'applicationId',
  'source',
  'receivedAt',
  'candidateApplicationProfileId',
  'positionId',
  'positionProfileIds',
];

/**
 * What a rejected row keeps of its record: never the seek token, because the row may stay for long. The
 * masked token has a field of its own, so that a row made pending again does not record it as a token.
 */
export const toRejectedRecord = (record: unknown): Record<string, unknown> => {
  if (!isObject(record)) return {};
  const kept = Object.entries(record).filter(([name]) => KEPT_FIELDS.includes(name));
  const { token } = record;
  return {
    ...Object.fromEntries(kept),
    ...(typeof token === 'string' ? { maskedToken: maskToken(token) } : {}),
  };
};
