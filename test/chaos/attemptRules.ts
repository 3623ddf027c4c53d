import type { SignalRecord } from '../../src/schemas/signalRecord.ts';

import type { Allowance, Evidence } from './evidence.ts';
import { type Violation, violationOf } from './violation.ts';

type Case = { signalId: string; mark: string; record: SignalRecord };

/** Each attempt stands for one request to SEEK that carried the signal. */
export const attemptRules = (
  evidence: Evidence,
  allowance: Allowance,
): (Violation | undefined)[] => {
  const { accepted, uncertain, history, lookup } = evidence;
  const cases: Case[] = [...accepted, ...uncertain].flatMap(({ signalId, mark }) => {
    const record = lookup.get(signalId);
    return record === undefined ? [] : [{ signalId, mark, record }];
  });
  const idsWhere = (holds: (one: Case) => boolean) =>
    cases.filter(holds).map(({ signalId }) => signalId);

  const unreached = cases.flatMap(({ signalId, record }) =>
    record.attempts
      .filter(({ requestId }) => requestId !== undefined && !history.byRequest(requestId))
      .map(({ code }) => ({ signalId, code })),
  );

  return [
    violationOf(
      `more attempts than the ${allowance.attempts} that the faults explain`,
      idsWhere(({ record }) => record.attempts.length > allowance.attempts),
    ),
    violationOf(
      'an attempt without a request',
      idsWhere(({ record }) =>
        record.attempts.some(
          ({ requestId, outcome }) => requestId === undefined && outcome !== 'skipped',
        ),
      ),
    ),
    violationOf(
      'an attempt whose request did not carry the signal',
      idsWhere(({ record, mark }) =>
        record.attempts.some(({ requestId = '' }) => {
          const arrival = history.byRequest(requestId);
          return arrival !== undefined && !arrival.marks.includes(mark);
        }),
      ),
    ),
    violationOf(
      'two attempts with the same request',
      idsWhere(({ record }) => {
        const ids = record.attempts.flatMap(({ requestId }) => requestId ?? []);
        return new Set(ids).size < ids.length;
      }),
    ),
    violationOf(
      'an attempt whose request never reached SEEK, with a code other than UNREACHABLE',
      unreached.filter(({ code }) => code !== 'UNREACHABLE').map(({ signalId }) => signalId),
    ),
    violationOf(
      `${unreached.length} attempts did not reach SEEK; the faults explain ${allowance.unreached}`,
      unreached.length > allowance.unreached
        ? [...new Set(unreached.map(({ signalId }) => signalId))]
        : [],
    ),
    violationOf(
      'state delivered, but SEEK did not process the request of the last attempt',
      idsWhere(({ record }) => {
        if (record.state !== 'delivered') return false;
        const last = record.attempts.at(-1);
        return last?.outcome !== 'delivered' || !history.byRequest(last.requestId ?? '')?.processed;
      }),
    ),
  ];
};
