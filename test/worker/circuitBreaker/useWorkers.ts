import type { BreakerStore } from '../../../src/queue/breakerState.ts';
import { createMemoryBreakerStore } from '../../../src/queue/embedded/breakerStore.ts';
import {
  createCircuitBreaker,
  type Permit,
} from '../../../src/worker/circuitBreaker/circuitBreaker.ts';
import type { HealthReport } from '../../../src/worker/circuitBreaker/healthReport.ts';
import type { Concurrency } from '../../../src/worker/circuitBreaker/localBreaker.ts';
import { captureLogs } from '../../support/captureLogs.ts';

const { jest } = import.meta;

export const HEALTHY: HealthReport = { kind: 'healthy' };
export const FAILING: HealthReport = {
  kind: 'failing',
  certain: false,
  failure: { code: 'HTTP_503', reason: 'HTTP 503 without a GraphQL answer' },
};
export const CERTAIN_FAILURE: HealthReport = { ...FAILING, certain: true };
export const rateLimited = (retryAfterMs?: number): HealthReport => ({
  kind: 'rateLimited',
  failure: { code: 'RATE_LIMITED', reason: 'Too many', retryAfterMs },
});

/** Longer than a worker uses its copy of the state without a read. */
export const STALE_AFTER_MS = 501;

export const advance = (ms: number) => jest.advanceTimersByTimeAsync(ms);
/** Waits for a pause, and until even the worker that failed last has asked for the probe. */
export const advanceToProbe = (pauseMs: number) => advance(pauseMs + 650);

type Setup = {
  workers?: number;
  perSecond?: number;
  pauseMaxMs?: number;
  store?: (store: BreakerStore) => BreakerStore;
  /** The store as seen by one of the workers. */
  storeOf?: Record<string, (store: BreakerStore) => BreakerStore>;
};

/** Circuit breakers of workers that share a store, under fake timers. They are stopped after each test. */
export const useWorkers = () => {
  const stops: (() => Promise<void>)[] = [];

  beforeEach(() => {
    jest.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z') });
  });
  afterEach(async () => {
    const stopped = Promise.all(stops.splice(0).map((stop) => stop().catch(() => {})));
    // Some stores answer only after a delay.
    await jest.advanceTimersByTimeAsync(10_000);
    await stopped;
    jest.useRealTimers();
  });

  /** Up to three workers, named A, B and C. */
  const setup = ({ workers = 1, perSecond, pauseMaxMs = 60_000, ...doubles }: Setup = {}) => {
    const memory = createMemoryBreakerStore();
    const store = doubles.store?.(memory) ?? memory;
    const logs = captureLogs();
    const createWorker = (id: string) => {
      const concurrency: Concurrency[] = [];
      const breaker = createCircuitBreaker({
        store: doubles.storeOf?.[id]?.(store) ?? store,
        id,
        perSecond,
        pauseMaxMs,
        logger: logs.logger,
        setConcurrency: (value) => concurrency.push(value),
        random: () => 0.5,
      });
      stops.push(breaker.stop);
      let requests = 0;
      return {
        ...breaker,
        /** Every concurrency that the breaker set, in order. */
        concurrency,
        isSuspended: () => (concurrency.at(-1) ?? 'all') !== 'all',
        /** Reports one request about a signal of its own, or about the signals given. */
        reportRequest: (report: HealthReport, permit: Permit = 'normal', ids?: string[]) => {
          requests += 1;
          return breaker.report(report, ids ?? [`${id}${requests}`], permit);
        },
      };
    };
    const [a, b, c] = [createWorker('A'), createWorker('B'), createWorker('C')].slice(0, workers);
    const need = <T>(value: T | undefined): T => {
      if (value === undefined) throw new Error('no such worker');
      return value;
    };

    return {
      memory,
      logs,
      get a() {
        return need(a);
      },
      get b() {
        return need(b);
      },
      get c() {
        return need(c);
      },
    };
  };

  return { setup };
};

export type Worker = ReturnType<ReturnType<typeof useWorkers>['setup']>['a'];

/** How many of the workers hold the probe: they may take one signal. */
export const countProbers = (...workers: Worker[]) =>
  workers.filter(({ concurrency }) => concurrency.at(-1) === 'one').length;
