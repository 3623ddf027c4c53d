import type { Settlement } from '../../queue/settlements.ts';
import type { SignalLives } from '../../queue/signalLives.ts';
import type { SignalLife } from '../../schemas/states.ts';

/** What the queue says of a signal. */
export type Asked =
  | { kind: 'settled'; settlement: Settlement }
  | { kind: 'on its way' | 'unknown' };

/** For those who were not told, or want to be certain. */
export const createAskQueue =
  ({ find, stateOf }: Pick<SignalLives, 'find' | 'stateOf'>, now: () => number = Date.now) =>
  async (signalId: string): Promise<Asked> => {
    const life = await find(signalId);
    if (life !== undefined) return toAsked(life, now());
    // Settled so long ago that no more is known than that.
    const state = await stateOf(signalId);
    return state === undefined
      ? { kind: 'unknown' }
      : { kind: 'settled', settlement: { signalId, outcome: 'delivered', at: now() } };
  };

/** Of those that are settled. */
export const settlementsIn = (asked: readonly Asked[]): Settlement[] =>
  asked.flatMap((one) => (one.kind === 'settled' ? [one.settlement] : []));

export type AskQueue = ReturnType<typeof createAskQueue>;

const toAsked = ({ signalId, state, reason, attempts }: SignalLife, now: number): Asked => {
  switch (state) {
    case 'delivered':
    case 'skipped':
    case 'dead': {
      const { requestId, at, durationMs = 0 } = attempts.at(-1) ?? {};
      const ended = at === undefined ? now : Date.parse(at) + durationMs;
      return {
        kind: 'settled',
        settlement: { signalId, outcome: state, requestId, reason, at: ended },
      };
    }
    default:
      return { kind: 'on its way' };
  }
};
