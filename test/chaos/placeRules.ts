import type { Evidence, Terms } from './evidence.ts';
import { about, type Finding } from './finding.ts';

const UNSETTLED: readonly string[] = ['waiting', 'active', 'retrying'];
const PERMANENT = /^(BAD_USER_INPUT|FORBIDDEN|HTTP_4\d\d)$/;

/** Each signal has left by one of the three doors, and by that which it is said to have left by. */
export const placeRules = (evidence: Evidence, terms: Terms): (Finding | undefined)[] => {
  const { accepted, unsure, history, lookup, deadLetters } = evidence;
  const offered = [...accepted, ...unsure];
  const stateOf = (signalId: string) => lookup.get(signalId)?.state;
  const idsWhere = (list: typeof offered, holds: (one: (typeof offered)[number]) => boolean) =>
    list.filter(holds).map(({ signalId }) => signalId);
  const known = new Map(offered.map((one) => [one.signalId, one]));
  const lettered = new Set(deadLetters.map(({ signalId }) => signalId));

  return [
    about(
      'accepted, and nothing is known of it',
      idsWhere(accepted, ({ signalId }) => lookup.get(signalId) === undefined),
    ),
    ...UNSETTLED.map((state) =>
      about(
        `still ${state} after the end`,
        idsWhere(offered, ({ signalId }) => stateOf(signalId) === state),
      ),
    ),
    about(
      'said to be delivered, but SEEK never took it',
      idsWhere(
        offered,
        ({ signalId, mark }) => stateOf(signalId) === 'delivered' && !history.took(mark),
      ),
    ),
    about(
      'skipped for a reason that nothing in this scenario explains',
      idsWhere(
        offered,
        ({ signalId, mark }) =>
          stateOf(signalId) === 'skipped' &&
          !terms.maySkip(mark, lookup.get(signalId)?.reason ?? ''),
      ),
    ),
    about(
      'said to be dead, but not among the dead letters',
      idsWhere(offered, ({ signalId }) => stateOf(signalId) === 'dead' && !lettered.has(signalId)),
    ),
    about(
      'among the dead letters, but not said to be dead',
      [...lettered].filter((signalId) => stateOf(signalId) !== 'dead'),
    ),
    about(
      'among the dead letters more than once',
      repeated(deadLetters.map((one) => one.signalId)),
    ),
    about(
      'among the dead letters, but never offered',
      [...lettered].filter((signalId) => !known.has(signalId)),
    ),
    ...deadLetters.map(({ signalId, code }) =>
      about(
        `dead as ${code}, which nothing in this scenario explains`,
        terms.mayDie(known.get(signalId)?.mark ?? '').includes(code) ? [] : [signalId],
      ),
    ),
    ...deadLetters.map(({ signalId, code, attempts }) => {
      const tries = history.of(known.get(signalId)?.mark ?? '');
      const answered = tries.filter(({ verdict }) => verdict === code).length;
      if (PERMANENT.test(code)) {
        return about(
          `dead as ${code}, which SEEK never answered`,
          answered === 0 ? [signalId] : [],
        );
      }
      const enough = code === 'STALLED' ? tries.length >= 2 : attempts.length >= terms.maxAttempts;
      return about(`dead as ${code} after too few tries`, enough ? [] : [signalId]);
    }),
  ];
};

const repeated = (ids: string[]): string[] => ids.filter((id, place) => ids.indexOf(id) !== place);
