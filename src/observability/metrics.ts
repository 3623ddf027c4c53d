import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import { isKnownType } from '../schemas/signal.ts';
import type { SignalState } from '../schemas/signalRecord.ts';

const PREFIX = 'seek_signals_';
const REQUEST_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const DELIVERY_BUCKETS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400];

/** What the queue knows at the moment of a scrape. */
export type QueueReading = {
  counts: Record<SignalState, number>;
  backlog: number;
  workers: number;
  oldestUnsentSeconds: number;
  suspended: { code: string; seconds: number } | undefined;
  /** Of the Redis, in bytes; a limit of 0 is none. */
  memory?: { used: number; limit: number } | undefined;
  tokensExpiring: number;
};

/** Of the ATS's own database, where this process moves what lies there. */
type OutboxReading = { pending: number; rejected: number; lagSeconds: number };

/** Every metric, named once. Counters count what this process did; gauges ask the queue. */
export const createMetrics = (
  readQueue: () => Promise<QueueReading>,
  readOutbox: () => Promise<OutboxReading | undefined> = async () => undefined,
) => {
  const registry = new Registry();
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] });
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] });
  const seconds = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `${PREFIX}${name}`, help, buckets, registers: [registry] });

  const signals = gauge('signals', 'Signals by state; settled ones as long as they are kept', [
    'state',
  ]);
  const backlog = gauge(
    'backlog',
    'What workers have to do now: waiting, active, retries that are due, letters on their way back',
  );
  const workers = gauge('workers', 'Worker processes that are alive');
  const oldest = gauge(
    'oldest_unsent_seconds',
    'Age of the oldest signal that SEEK does not have yet',
  );
  const deliverySuspended = gauge(
    'delivery_suspended',
    '1 while no signals are sent to SEEK: the circuit breaker is open',
  );
  const suspendedSeconds = gauge(
    'delivery_suspended_seconds',
    'How long delivery has been suspended, by error code; absent while it is running',
    ['code'],
  );
  const memoryUsed = gauge('redis_memory_used_bytes', 'What Redis holds, in all of its databases');
  const memoryLimit = gauge('redis_memory_limit_bytes', 'Its maxmemory; absent if it has none');
  const tokensExpiring = gauge(
    'tokens_expiring',
    'Applications whose seek token expires within 14 days',
  );

  const outboxRows = gauge('outbox_rows', 'Rows of the outbox by state, up to 100,000', ['state']);
  const outboxLag = gauge('outbox_lag_seconds', 'Age of the oldest row that no relay has moved');

  return {
    relayed: counter('outbox_relayed_total', 'Rows of the outbox that were moved into the queue'),
    outboxRejected: counter('outbox_rejected_total', 'Rows of the outbox that can not be sent'),
    outboxMissing: counter(
      'outbox_missing_total',
      'Times that the queue did not know the signal of a row that went into it; each row again every five minutes',
    ),
    accepted: counter('accepted_total', 'Signals accepted, duplicates not counted', ['type']),
    attempts: counter('attempts_total', 'Attempts at delivery', ['outcome', 'code']),
    delivered: counter('delivered_total', 'Signals delivered to SEEK', ['type']),
    deferred: counter(
      'deferred_total',
      'Tries that spent no attempt: SEEK limited our rate, or gave no partner token',
      ['code'],
    ),
    tokenFailures: counter(
      'partner_token_failures_total',
      'Requests for a partner token that failed; CREDENTIALS_REFUSED wants a person',
      ['code'],
    ),
    expiredTokens: counter(
      'expired_tokens_total',
      'Signals sent with a seek token that was past its life: SEEK says nothing of it',
    ),
    skipped: counter('skipped_total', 'Signals settled without sending them', ['reason']),
    dead: counter('dead_total', 'Signals that became dead letters', ['code']),
    redriven: counter('redriven_total', 'Dead letters put back into the queue'),
    requestSeconds: seconds('request_seconds', 'One request to SEEK', REQUEST_BUCKETS),
    deliverySeconds: seconds('delivery_seconds', 'From accepted to delivered', DELIVERY_BUCKETS),

    contentType: registry.contentType,
    /** The exposition text. Where the queue cannot be asked, its gauges are left out or NaN. */
    scrape: async (): Promise<string> => {
      // First: of two scrapes at once neither takes away what the other is about to tell.
      // Of queue and outbox, either of which may be away, each is told of without the other.
      const [reading, outbox] = await Promise.all([
        readQueue().catch(() => undefined),
        readOutbox().catch(() => undefined),
      ]);
      signals.reset();
      backlog.set(Number.NaN);
      workers.set(Number.NaN);
      oldest.set(Number.NaN);
      deliverySuspended.set(Number.NaN);
      suspendedSeconds.reset();
      tokensExpiring.set(Number.NaN);
      memoryUsed.remove();
      memoryLimit.remove();
      outboxRows.reset();
      outboxLag.remove();
      if (reading !== undefined) {
        for (const [state, count] of Object.entries(reading.counts)) signals.set({ state }, count);
        backlog.set(reading.backlog);
        workers.set(reading.workers);
        oldest.set(reading.oldestUnsentSeconds);
        tokensExpiring.set(reading.tokensExpiring);
        if (reading.memory !== undefined) memoryUsed.set(reading.memory.used);
        if (reading.memory?.limit) memoryLimit.set(reading.memory.limit);
        deliverySuspended.set(reading.suspended === undefined ? 0 : 1);
        if (reading.suspended !== undefined) {
          const { code, seconds } = reading.suspended;
          suspendedSeconds.set({ code: codeLabel(code) }, seconds);
        }
      }
      if (outbox !== undefined) {
        outboxRows.set({ state: 'pending' }, outbox.pending);
        outboxRows.set({ state: 'rejected' }, outbox.rejected);
        outboxLag.set(outbox.lagSeconds);
      }
      return registry.metrics();
    },
  };
};

export type Metrics = ReturnType<typeof createMetrics>;

// SEEK's codes and types are open sets; a label's values must not be.
const CODES = new Set(
  [
    'UNAUTHENTICATED',
    'FORBIDDEN',
    'BAD_USER_INPUT',
    'INTERNAL_SERVER_ERROR',
    'RATE_LIMITED',
  ].concat(
    ['UNKNOWN', 'UNREACHABLE', 'PARTNER_TOKEN', 'CREDENTIALS_REFUSED'],
    ['UNREADABLE', 'STALLED', 'FAULT', 'QUEUE', 'TOKEN_KEY'],
  ),
);

export const codeLabel = (code: string | undefined): string => {
  if (code === undefined) return '';
  return CODES.has(code) || /^HTTP_\d{3}$/.test(code) ? code : 'OTHER';
};

export const typeLabel = (typeCode: string): string => (isKnownType(typeCode) ? typeCode : 'OTHER');
