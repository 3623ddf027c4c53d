import type { Allowance, Evidence } from './evidence.ts';
import type { TestSignal } from './signals.ts';
import { type Violation, violationOf } from './violation.ts';

const UNFINISHED: readonly string[] = ['waiting', 'active', 'retrying'];
const PERMANENT = /^(BAD_USER_INPUT|FORBIDDEN|HTTP_4\d\d)$/;

/** Each signal is delivered, skipped or dead, and its recorded state is true. */
export const stateRules = (evidence: Evidence, allowance: Allowance): (Violation | undefined)[] => {
  const { accepted, uncertain, history, lookup, deadLetters } = evidence;
  const sent = [...accepted, ...uncertain];
  const stateOf = (signalId: string) => lookup.get(signalId)?.state;
  const idsWhere = (list: TestSignal[], holds: (signal: TestSignal) => boolean) =>
    list.filter(holds).map(({ signalId }) => signalId);
  const byId = new Map(sent.map((signal) => [signal.signalId, signal]));
  const deadLetterIds = new Set(deadLetters.map(({ signalId }) => signalId));

  return [
    violationOf(
      'accepted, but has no record',
      idsWhere(accepted, ({ signalId }) => lookup.get(signalId) === undefined),
    ),
    ...UNFINISHED.map((state) =>
      violationOf(
        `still ${state} after the end`,
        idsWhere(sent, ({ signalId }) => stateOf(signalId) === state),
      ),
    ),
    violationOf(
      'state delivered, but SEEK never processed it',
      idsWhere(
        sent,
        ({ signalId, mark }) => stateOf(signalId) === 'delivered' && !history.isProcessed(mark),
      ),
    ),
    violationOf(
      'skipped for a reason that the scenario does not explain',
      idsWhere(
        sent,
        ({ signalId, mark }) =>
          stateOf(signalId) === 'skipped' &&
          !allowance.isSkipAllowed(mark, lookup.get(signalId)?.reason ?? ''),
      ),
    ),
    violationOf(
      'state dead, but not among the dead letters',
      idsWhere(
        sent,
        ({ signalId }) => stateOf(signalId) === 'dead' && !deadLetterIds.has(signalId),
      ),
    ),
    violationOf(
      'among the dead letters, but its state is not dead',
      [...deadLetterIds].filter((signalId) => stateOf(signalId) !== 'dead'),
    ),
    violationOf(
      'among the dead letters more than once',
      repeated(deadLetters.map(({ signalId }) => signalId)),
    ),
    violationOf(
      'among the dead letters, but no producer sent it',
      [...deadLetterIds].filter((signalId) => !byId.has(signalId)),
    ),
    ...deadLetters.map(({ signalId, code }) =>
      violationOf(
        `dead with code ${code}, which the scenario does not explain`,
        allowance.allowedDeadCodes(byId.get(signalId)?.mark ?? '').includes(code) ? [] : [signalId],
      ),
    ),
    ...deadLetters.map(({ signalId, code, attempts }) => {
      const arrivals = history.of(byId.get(signalId)?.mark ?? '');
      if (PERMANENT.test(code)) {
        const replied = arrivals.some(({ reply }) => reply === code);
        return violationOf(
          `dead with code ${code}, but SEEK never replied so`,
          replied ? [] : [signalId],
        );
      }
      const enough =
        code === 'STALLED' ? arrivals.length >= 2 : attempts.length >= allowance.maxAttempts;
      return violationOf(`dead with code ${code} after too few attempts`, enough ? [] : [signalId]);
    }),
  ];
};

const repeated = (ids: string[]): string[] => ids.filter((id, place) => ids.indexOf(id) !== place);
