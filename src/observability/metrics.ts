import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import { isKnownType } from '../schemas/signal.ts';
import type { SignalState } from '../schemas/signalRecord.ts';

const PREFIX = 'seek_signals_';
const REQUEST_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const DELIVERY_BUCKETS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400];

/** The state of the queue at the time of a scrape. */
export type QueueReading = {
  counts: Record<SignalState, number>;
  backlog: number;
  workers: number;
  oldestUnsentSeconds: number;
  suspended: { code: string; seconds: number } | undefined;
  /** Of Redis, in bytes; a limit of 0 means none. */
  memory?: { used: number; limit: number } | undefined;
  tokensExpiring: number;
};

/** The state of the outbox; only processes that move its rows read it. */
type OutboxGauges = { pending: number; rejected: number; lagSeconds: number };

/** All metrics, each defined once. Counters count what this process did; gauges read the queue. */
export const createMetrics = (
  readQueue: () => Promise<QueueReading>,
  readOutbox: () => Promise<OutboxGauges | undefined> = async () => undefined,
) => {
  const registry = new Registry();
  const counters = createCounters(registry);
  const queueGauges = createQueueGauges(registry);
  const outboxGauges = createOutboxGauges(registry);

  return {
    ...counters,
    contentType: registry.contentType,
    /** The exposition text. If the queue cannot be read, its gauges are absent or NaN. */
    scrape: async (): Promise<string> => {
      // Read before resetting the gauges, so that concurrent scrapes do not clear each other.
      // Queue and outbox are read independently; either may be down.
      const [reading, outbox] = await Promise.all([
        readQueue().catch(() => undefined),
        readOutbox().catch(() => undefined),
      ]);
      queueGauges.reset();
      outboxGauges.reset();
      if (reading !== undefined) queueGauges.set(reading);
      if (outbox !== undefined) outboxGauges.set(outbox);
      return registry.metrics();
    },
  };
};

export type Metrics = ReturnType<typeof createMetrics>;

const definer = (registry: Registry) => ({
  counter: <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] }),
  gauge: <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] }),
  histogram: (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `${PREFIX}${name}`, help, buckets, registers: [registry] }),
});

const createCounters = (registry: Registry) => {
  const { counter, histogram } = definer(registry);
  return {
    relayed: counter('outbox_relayed_total', 'Outbox rows moved into Redis, signals and records'),
    outboxRejected: counter('outbox_rejected_total', 'Outbox rows that cannot be sent'),
    outboxMissing: counter(
      'outbox_missing_total',
      'Times that a relay found a row whose signal the queue has lost; each row counts again every five minutes',
    ),
    accepted: counter('accepted_total', 'Signals accepted, without duplicates', ['type']),
    attempts: counter('attempts_total', 'Delivery attempts', ['outcome', 'code']),
    delivered: counter('delivered_total', 'Signals delivered to SEEK', ['type']),
    deferred: counter(
      'deferred_total',
      'Postponements that cost no attempt, such as for a rate limit or a missing partner token',
      ['code'],
    ),
    tokenFailures: counter(
      'partner_token_failures_total',
      'Failed requests for a partner token; CREDENTIALS_REFUSED needs an operator',
      ['code'],
    ),
    expiredTokens: counter(
      'expired_tokens_total',
      'Signals sent with an expired seek token; SEEK reports no error for them',
    ),
    unconfirmed: counter(
      'unconfirmed_total',
      'Signals in answers of SEEK without errors whose value was not true; they count as delivered',
    ),
    skipped: counter('skipped_total', 'Signals completed without delivery', ['reason']),
    dead: counter('dead_total', 'Signals moved to the dead letters', ['code']),
    redriven: counter('redriven_total', 'Dead letters put back into the queue'),
    requestSeconds: histogram(
      'request_seconds',
      'Duration of one request to SEEK',
      REQUEST_BUCKETS,
    ),
    deliverySeconds: histogram(
      'delivery_seconds',
      'Time from acceptance to delivery',
      DELIVERY_BUCKETS,
    ),
  };
};

const createQueueGauges = (registry: Registry) => {
  const { gauge } = definer(registry);
  const signals = gauge('signals', 'Signals by state; delivered and skipped ones while kept', [
    'state',
  ]);
  const backlog = gauge(
    'backlog',
    'What workers have to do now: waiting and active signals, retries that are due, redrives under way',
  );
  const workers = gauge('workers', 'Worker processes that are alive');
  const oldestUnsent = gauge(
    'oldest_unsent_seconds',
    'Age of the oldest signal that SEEK does not have yet',
  );
  const suspended = gauge(
    'delivery_suspended',
    '1 while the circuit breaker has suspended delivery to SEEK, otherwise 0',
  );
  const suspendedSeconds = gauge(
    'delivery_suspended_seconds',
    'How long delivery has been suspended, by error code; absent while it is running',
    ['code'],
  );
  const memoryUsed = gauge(
    'redis_memory_used_bytes',
    'Memory that Redis uses, in all its databases',
  );
  const memoryLimit = gauge('redis_memory_limit_bytes', 'maxmemory of Redis; absent without one');
  const tokensExpiring = gauge(
    'tokens_expiring',
    'Applications whose seek token expires within 14 days',
  );

  return {
    reset: (): void => {
      for (const single of [backlog, workers, oldestUnsent, suspended, tokensExpiring]) {
        single.set(Number.NaN);
      }
      signals.reset();
      suspendedSeconds.reset();
      memoryUsed.remove();
      memoryLimit.remove();
    },
    set: (reading: QueueReading): void => {
      for (const [state, count] of Object.entries(reading.counts)) signals.set({ state }, count);
      backlog.set(reading.backlog);
      workers.set(reading.workers);
      oldestUnsent.set(reading.oldestUnsentSeconds);
      tokensExpiring.set(reading.tokensExpiring);
      if (reading.memory !== undefined) memoryUsed.set(reading.memory.used);
      if (reading.memory?.limit) memoryLimit.set(reading.memory.limit);
      suspended.set(reading.suspended === undefined ? 0 : 1);
      if (reading.suspended !== undefined) {
        const { code, seconds } = reading.suspended;
        suspendedSeconds.set({ code: codeLabel(code) }, seconds);
      }
    },
  };
};

const createOutboxGauges = (registry: Registry) => {
  const { gauge } = definer(registry);
  const rows = gauge('outbox_rows', 'Outbox rows by state, counted up to 100,000', ['state']);
  const lag = gauge('outbox_lag_seconds', 'Age of the oldest row that no relay has moved');

  return {
    reset: (): void => {
      rows.reset();
      lag.remove();
    },
    set: ({ pending, rejected, lagSeconds }: OutboxGauges): void => {
      rows.set({ state: 'pending' }, pending);
      rows.set({ state: 'rejected' }, rejected);
      lag.set(lagSeconds);
    },
  };
};

// Codes and types of SEEK are open sets. Label values must be bounded, so unknown ones become OTHER.
const CODES = new Set([
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_USER_INPUT',
  'INTERNAL_SERVER_ERROR',
  'RATE_LIMITED',
  'UNKNOWN',
  'UNREACHABLE',
  'FROZEN',
  'PARTNER_TOKEN',
  'CREDENTIALS_REFUSED',
  'UNREADABLE',
  'STALLED',
  'FAULT',
  'QUEUE',
  'TOKEN_KEY',
]);

export const codeLabel = (code: string | undefined): string => {
  if (code === undefined) return '';
  return CODES.has(code) || /^HTTP_\d{3}$/.test(code) ? code : 'OTHER';
};

export const typeLabel = (typeCode: string): string => (isKnownType(typeCode) ? typeCode : 'OTHER');
