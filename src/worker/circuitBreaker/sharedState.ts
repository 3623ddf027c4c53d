import type { Logger } from '../../observability/logger.ts';
import { createThrottle } from '../../observability/logger.ts';
import type { BreakerReading, BreakerState, BreakerStore } from '../../queue/breakerState.ts';
import { createSerialQueue, singleFlight } from '../../runtime/async.ts';
import { isOver, takeProbe, yieldProbe } from './transitions.ts';

// Never in step with the others, or the same one would always be first.
const lookAgainMs = (random: () => number): number => 200 + 100 * random();
// Others write now and then; so many times in a row that is no accident.
const MOST_TRIES = 20;
// Who may try and has nothing to try with lets another worker have its turn.
const IDLE_PROBER_MS = 10_000;
const YIELD_MS = 1_000;
const LOG_EVERY_MS = 10_000;

type Rule = (state: BreakerState, now: number) => BreakerState | undefined;

type Deps = {
  store: BreakerStore;
  /** Who we are among the workers. */
  id: string;
  /** Called when the lane has opened or closed, and when the next try became ours or ceased to be. */
  onTurn: (opened: boolean) => void;
  /** How much later than others we ask for the next try. */
  reluctanceMs: () => number;
  logger: Logger;
  now: () => number;
  random: () => number;
};

/** What one worker knows of the lane that all share, kept up to date while the lane is closed. */
export const createSharedState = ({ store, id, onTurn, reluctanceMs, logger, ...deps }: Deps) => {
  const { now, random } = deps;
  const inTurn = createSerialQueue();
  const isDue = createThrottle(LOG_EVERY_MS, now);
  let state: BreakerState = {};
  /** The store's clock against ours. */
  let ahead = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  let watching: NodeJS.Timeout | undefined;
  let probe: 'no' | 'ours' | 'under way' = 'no';
  let probeSince = 0;
  let yieldedUntil = 0;
  let done = false;

  const storeNow = (): number => now() + ahead;

  const take = (reading: BreakerReading): void => {
    ahead = reading.now - now();
    readAt = now();
    const [was, probed] = [state, probe];
    state = reading.state;
    if (state.closed?.probe?.by !== id) probe = 'no';
    else if (probe === 'no') [probe, probeSince] = ['ours', now()];
    const turned = (was.closed === undefined) !== (state.closed === undefined);
    if (turned || probed !== probe) onTurn(turned && state.closed === undefined);
    if (state.closed !== undefined) watch();
  };

  /** Writes what the rule makes of the lane. Resolves with what it was, or `undefined`: no change. */
  const change = (rule: Rule): Promise<BreakerState | undefined> => inTurn(() => write(rule));

  const write = async (rule: Rule): Promise<BreakerState | undefined> => {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const reading = await store.read();
      const next = rule(reading.state, reading.now);
      if (next === undefined) {
        take(reading);
        return undefined;
      }
      if (await store.replace(reading.version, next)) {
        take({ ...reading, state: next });
        return reading.state;
      }
    }
    throw new Error('The lane is not to be written');
  };

  const look = singleFlight(() => store.read().then(take));

  /** While the lane is closed: sees it open, and asks for the next try when a pause is over. */
  const watch = (): void => {
    if (watching !== undefined || done) return;
    watching = setTimeout(async () => {
      await tend().catch(complain);
      watching = undefined;
      if (state.closed !== undefined) watch();
    }, lookAgainMs(random));
  };

  const complain = (err: Error): void => {
    if (isDue()) logger.warn({ reason: err.message }, 'Lane not read');
  };

  const tend = async (): Promise<unknown> => {
    if (probe === 'ours' && now() - probeSince > IDLE_PROBER_MS) {
      yieldedUntil = now() + YIELD_MS;
      return change((s) => yieldProbe(s, id));
    }
    const readyAt = storeNow() - (probe === 'no' ? reluctanceMs() : 0);
    const due =
      state.closed !== undefined && isOver(state.closed, readyAt) && now() >= yieldedUntil;
    return due ? change((s, at) => takeProbe(s, id, at)) : look();
  };

  return {
    change,
    look,
    storeNow,
    state: (): BreakerState => state,
    isFresh: (withinMs: number): boolean => now() - readAt <= withinMs,
    probe: () => probe,
    /** The next try is ours: this is it. `false`: it is not. */
    beginProbe: (): boolean => {
      const ours = probe === 'ours';
      if (ours) probe = 'under way';
      return ours;
    },
    endProbe: (): void => {
      if (probe === 'under way') [probe, probeSince] = ['ours', now()];
    },
    /** Lets another worker have the next try, if it is ours. */
    stop: async (): Promise<void> => {
      done = true;
      clearTimeout(watching);
      // Asked for while closing, too: what we were about to be given must not stay with us.
      if (state.closed !== undefined) await change((s) => yieldProbe(s, id));
    },
  };
};
