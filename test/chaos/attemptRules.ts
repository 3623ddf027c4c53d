import type { SignalLife } from '../../src/schemas/signalRecord.ts';

import type { Evidence, Terms } from './evidence.ts';
import { about, type Finding } from './finding.ts';

type Case = { signalId: string; mark: string; life: SignalLife };

/** Attempts are spent on tries, and on nothing else. */
export const attemptRules = (evidence: Evidence, terms: Terms): (Finding | undefined)[] => {
  const { accepted, unsure, history, lives } = evidence;
  const cases: Case[] = [...accepted, ...unsure].flatMap(({ signalId, mark }) => {
    const life = lives.get(signalId);
    return life === undefined ? [] : [{ signalId, mark, life }];
  });
  const idsWhere = (holds: (one: Case) => boolean) =>
    cases.filter(holds).map(({ signalId }) => signalId);

  const unseen = cases.flatMap(({ signalId, life }) =>
    life.attempts
      .filter(({ requestId }) => requestId !== undefined && !history.byRequest(requestId))
      .map(({ code }) => ({ signalId, code })),
  );

  return [
    about(
      `more attempts than ${terms.attempts}, which is what the faults explain`,
      idsWhere(({ life }) => life.attempts.length > terms.attempts),
    ),
    about(
      'an attempt was spent without a request',
      idsWhere(({ life }) =>
        life.attempts.some(
          ({ requestId, outcome }) => requestId === undefined && outcome !== 'skipped',
        ),
      ),
    ),
    about(
      'an attempt was spent on a request that did not carry the signal',
      idsWhere(({ life, mark }) =>
        life.attempts.some(({ requestId = '' }) => {
          const arrival = history.byRequest(requestId);
          return arrival !== undefined && !arrival.marks.includes(mark);
        }),
      ),
    ),
    about(
      'two attempts were spent on one request',
      idsWhere(({ life }) => {
        const ids = life.attempts.flatMap(({ requestId }) => requestId ?? []);
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
      idsWhere(({ life }) => {
        if (life.state !== 'delivered') return false;
        const last = life.attempts.at(-1);
        return last?.outcome !== 'delivered' || !history.byRequest(last.requestId ?? '')?.took;
      }),
    ),
  ];
};
