import { createThrottle, type Logger } from '../../observability/logger.ts';
import type { BreakerReading, BreakerState, BreakerStore } from '../../queue/breakerState.ts';
import { createSerialQueue, singleFlight } from '../../runtime/async.ts';
import { isPauseOver, takeProbe, yieldProbe } from './transitions.ts';

// Random, or workers would poll in step and the same one would always take the probe.
const pollDelayMs = (random: () => number): number => 200 + 100 * random();
// Concurrent writes are rare. So many conflicts in a row are a fault.
const MAX_WRITE_ATTEMPTS = 20;
// A worker that holds the probe and has no signal to send gives it up, and leaves it to others for a while.
const PROBE_IDLE_TIMEOUT_MS = 10_000;
const YIELD_MS = 1_000;
const LOG_INTERVAL_MS = 10_000;

/** `perSecond`: the requests per second of all workers. */
type Transition = (state: BreakerState, now: number, perSecond: number) => BreakerState | undefined;

type Deps = {
  store: BreakerStore;
  /** Identifies this worker among all workers. */
  id: string;
  /** Called when the breaker opens or closes, and when this worker gains or loses the probe. */
  onChange: (change: { hasClosed: boolean }) => void;
  /** The requests per second that this worker sends. */
  sentPerSecond: () => number;
  /** How much later than others this worker asks for the probe. */
  probeDelayMs: () => number;
  logger: Pick<Logger, 'warn'>;
  now: () => number;
  random: () => number;
};

/** This worker's copy of the breaker state that all workers share. While the breaker is open, it polls. */
export const createSharedState = ({ store, id, onChange, probeDelayMs, logger, ...deps }: Deps) => {
  const { now, random, sentPerSecond } = deps;
  const inOrder = createSerialQueue();
  const isLogDue = createThrottle(LOG_INTERVAL_MS, now);
  let state: BreakerState = {};
  /** How far the store's clock is ahead of ours. */
  let clockOffsetMs = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  let pollTimer: NodeJS.Timeout | undefined;
  let probe: 'none' | 'reserved' | 'inFlight' = 'none';
  let reservedSince = 0;
  let yieldedUntil = 0;
  let stopped = false;

  const storeNow = (): number => now() + clockOffsetMs;

  const reserveProbe = (): void => {
    probe = 'reserved';
    reservedSince = now();
  };

  const apply = (reading: BreakerReading): void => {
    clockOffsetMs = reading.now - now();
    readAt = now();
    const previous = { state, probe };
    state = reading.state;
    if (state.open?.probe?.by !== id) probe = 'none';
    else if (probe === 'none') reserveProbe();
    const isOpen = state.open !== undefined;
    const hasTurned = (previous.state.open !== undefined) !== isOpen;
    if (hasTurned || previous.probe !== probe) onChange({ hasClosed: hasTurned && !isOpen });
    if (isOpen) schedulePoll();
  };

  const read = (): Promise<BreakerReading> => {
    const perSecond = sentPerSecond();
    return perSecond === 0 ? store.read() : store.read({ by: id, perSecond });
  };

  /** Writes the transition of the stored state. Resolves with the state before, or `undefined`: no change. */
  const change = (transition: Transition): Promise<BreakerState | undefined> =>
    inOrder(() => write(transition));

  const write = async (transition: Transition): Promise<BreakerState | undefined> => {
    for (let attempt = 0; attempt < MAX_WRITE_ATTEMPTS; attempt += 1) {
      const reading = await read();
      const next = transition(reading.state, reading.now, reading.perSecond);
      if (next === undefined) {
        apply(reading);
        return undefined;
      }
      if (await store.replace(reading.version, next)) {
        apply({ ...reading, state: next });
        return reading.state;
      }
    }
    throw new Error(`Circuit-breaker state: compare-and-set failed ${MAX_WRITE_ATTEMPTS} times.`);
  };

  const refresh = singleFlight(() => read().then(apply));

  const schedulePoll = (): void => {
    if (pollTimer !== undefined || stopped) return;
    pollTimer = setTimeout(async () => {
      await poll().catch(logReadError);
      pollTimer = undefined;
      if (state.open !== undefined) schedulePoll();
    }, pollDelayMs(random));
  };

  const logReadError = (err: Error): void => {
    if (isLogDue()) logger.warn({ reason: err.message }, 'Failed to read circuit breaker');
  };

  /** Notices that the breaker has closed, and asks for the probe when a pause is over. */
  const poll = async (): Promise<unknown> => {
    if (probe === 'reserved' && now() - reservedSince > PROBE_IDLE_TIMEOUT_MS) {
      yieldedUntil = now() + YIELD_MS;
      return change((current) => yieldProbe(current, id));
    }
    const readyAt = storeNow() - (probe === 'none' ? probeDelayMs() : 0);
    const isProbeDue =
      state.open !== undefined && isPauseOver(state.open, readyAt) && now() >= yieldedUntil;
    return isProbeDue ? change((current, at) => takeProbe(current, id, at)) : refresh();
  };

  return {
    change,
    refresh,
    storeNow,
    state: (): BreakerState => state,
    isFresh: (maxAgeMs: number): boolean => now() - readAt <= maxAgeMs,
    hasProbe: (): boolean => probe !== 'none',
    isProbeInFlight: (): boolean => probe === 'inFlight',
    /** Starts the probe if it is reserved for this worker. `false`: it is not. */
    beginProbe: (): boolean => {
      if (probe !== 'reserved') return false;
      probe = 'inFlight';
      return true;
    },
    endProbe: (): void => {
      if (probe === 'inFlight') reserveProbe();
    },
    /** Stops polling and gives up the probe, so that another worker can take it. */
    stop: async (): Promise<void> => {
      stopped = true;
      clearTimeout(pollTimer);
      // Also without a probe in our copy: a write that is under way may still reserve one.
      if (state.open !== undefined) await change((current) => yieldProbe(current, id));
    },
  };
};

export type SharedState = ReturnType<typeof createSharedState>;
