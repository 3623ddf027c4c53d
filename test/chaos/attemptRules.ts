import type { SignalRecord } from '../../src/schemas/signalRecord.ts';

import type { Evidence, Terms } from './evidence.ts';
import { about, type Finding } from './finding.ts';

type Case = { signalId: string; mark: string; record: SignalRecord };

/** Attempts are spent on tries, and on nothing else. */
export const attemptRules = (evidence: Evidence, terms: Terms): (Finding | undefined)[] => {
  const { accepted, unsure, history, lookup } = evidence;
  const cases: Case[] = [...accepted, ...unsure].flatMap(({ signalId, mark }) => {
    const record = lookup.get(signalId);
    return record === undefined ? [] : [{ signalId, mark, record }];
  });
  const idsWhere = (holds: (one: Case) => boolean) =>
    cases.filter(holds).map(({ signalId }) => signalId);

  const unseen = cases.flatMap(({ signalId, record }) =>
    record.attempts
      .filter(({ requestId }) => requestId !== undefined && !history.byRequest(requestId))
      .map(({ code }) => ({ signalId, code })),
  );

  return [
    about(
      `more attempts than ${terms.attempts}, which is what the faults explain`,
      idsWhere(({ record }) => record.attempts.length > terms.attempts),
    ),
    about(
      'an attempt was spent without a request',
      idsWhere(({ record }) =>
        record.attempts.some(
          ({ requestId, outcome }) => requestId === undefined && outcome !== 'skipped',
        ),
      ),
    ),
    about(
      'an attempt was spent on a request that did not carry the signal',
      idsWhere(({ record, mark }) =>
        record.attempts.some(({ requestId = '' }) => {
          const arrival = history.byRequest(requestId);
          return arrival !== undefined && !arrival.marks.includes(mark);
        }),
      ),
    ),
    about(
      'two attempts were spent on one request',
      idsWhere(({ record }) => {
        const ids = record.attempts.flatMap(({ requestId }) => requestId ?? []);
        return new Set(ids).size < ids.length;
      }),
    ),
    about(
      'a request that SEEK never saw, for another reason than that it could not be reached',
      unseen.filter(({ code }) => code !== 'UNREACHABLE').map(({ signalId }) => signalId),
    ),
    about(
      `${unseen.length} attempts spent without reaching SEEK, where ${terms.unseen} are explained`,
      unseen.length > terms.unseen ? [...new Set(unseen.map(({ signalId }) => signalId))] : [],
    ),
    about(
      'delivered, but the attempt that says so is not one that SEEK took',
      idsWhere(({ record }) => {
        if (record.state !== 'delivered') return false;
        const last = record.attempts.at(-1);
        return last?.outcome !== 'delivered' || !history.byRequest(last.requestId ?? '')?.took;
      }),
    ),
  ];
};
