import { createThrottle, type Logger } from '../../observability/logger.ts';
import type { Enqueue } from '../enqueue.ts';
import { InvalidSignalError } from '../errors.ts';
import type { OutboxStore, Relayed, Taken } from './rows.ts';

// As many as are still moved well within the time that the queue has for an answer.
const AT_ONCE = 500;
// While one is in the database, another is in the queue.
const LANES = 2;
const POLL_MS = 1_000;
const [SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS] = [200, 5_000];
const WARN_EVERY_MS = 60_000;

type Deps = {
  store: Pick<OutboxStore, 'move'>;
  enqueue: Enqueue;
  logger: Logger;
  metrics: {
    relayed: { inc: (by: number) => void };
    outboxRejected: { inc: () => void };
  };
  /** Set where the outbox is a ledger as well. */
  reportTo?: 'outbox' | undefined;
  pollMs?: number;
};

/**
 * Moves what the ATS has committed into the queue. A row goes only when the queue has acknowledged its
 * signal: killed at any line, it is moved again, and recognised.
 */
export const createRelay = ({ store, enqueue, logger, metrics, ...deps }: Deps) => {
  const { reportTo, pollMs = POLL_MS } = deps;
  let isStopped = false;
  let lastActivityAt = performance.now();
  const isDue = createThrottle(WARN_EVERY_MS);
  const sleepers = new Set<() => void>();
  // That something was committed while nobody slept.
  let isCalled = false;

  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const wakeUp = () => {
        clearTimeout(timer);
        sleepers.delete(wakeUp);
        resolve();
      };
      const timer = setTimeout(wakeUp, ms);
      sleepers.add(wakeUp);
    });
  /** One, for there may be but one row; it wakes the next where there are more. */
  const wake = (): void => {
    const [wakeUp] = sleepers;
    if (wakeUp === undefined) isCalled = true;
    else wakeUp();
  };

  const relay = async (taken: Taken[]): Promise<Relayed[]> => {
    const relayed = await relayAll(enqueue, taken, reportTo);
    for (const one of relayed) {
      if (one.kind !== 'rejected') continue;
      metrics.outboxRejected.inc();
      logger.warn({ row: one.id, reason: one.reason }, 'outbox.rejected');
    }
    metrics.relayed.inc(relayed.filter(({ kind }) => kind === 'queued').length);
    return relayed;
  };

  const complain = (err: unknown): void => {
    if (isDue()) logger.warn({ reason: reasonOf(err) }, 'Outbox not moved; tried again');
  };

  const run = async (): Promise<void> => {
    let pauseMs = SHORTEST_PAUSE_MS;
    while (!isStopped) {
      lastActivityAt = performance.now();
      try {
        const isMore = await store.move(AT_ONCE, relay);
        pauseMs = SHORTEST_PAUSE_MS;
        if (isMore) wake();
        else if (!isStopped && !isCalled) await rest(pollMs);
        isCalled = false;
      } catch (err) {
        complain(err);
        if (!isStopped) await rest(pauseMs);
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
  };
  const running = Promise.all(Array.from({ length: LANES }, run));

  return {
    /** Something has been committed. */
    wake,
    /** When a loop last began a turn, by `performance.now()`. */
    lastActivityAt: () => lastActivityAt,
    /** Resolves when what is in hand has come to an end. */
    close: async (): Promise<void> => {
      isStopped = true;
      for (const wakeUp of [...sleepers]) wakeUp();
      await running;
    },
  };
};

export type Relay = ReturnType<typeof createRelay>;

/** An error of the database may quote the row, and in it a token: its code has to do. */
const reasonOf = (err: unknown): string => {
  if (!(err instanceof Error)) return 'unknown';
  const code = 'code' in err ? ` ${String(err.code)}` : '';
  return err.name === 'QueueUnavailableError' ? err.message : `${err.name}${code}`;
};

/** Those of one sender and without a key together, each with a key by itself. */
export const relayAll = async (
  enqueue: Enqueue,
  taken: readonly Taken[],
  reportTo: 'outbox' | undefined,
): Promise<Relayed[]> => {
  const groups = new Map<string, Taken[]>();
  for (const row of taken) {
    const name = row.idempotencyKey === undefined ? `all of ${row.sender}` : `row ${row.id}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  const relayed = await Promise.all(
    [...groups.values()].map((group) => relayGroup(enqueue, group, reportTo)),
  );
  return relayed.flat();
};

const relayGroup = async (
  enqueue: Enqueue,
  group: Taken[],
  reportTo: 'outbox' | undefined,
): Promise<Relayed[]> => {
  const { sender = '', idempotencyKey } = group[0] ?? {};
  const results = await enqueue(
    group.map(({ signal }) => signal),
    { from: sender, idempotencyKey, reportTo },
  );
  return group.map(({ id }, index): Relayed => {
    const result = results[index];
    if (result === undefined) throw new Error('A row, but no result');
    if (!(result instanceof Error)) {
      const { signalId, state } = result;
      return { kind: 'queued', id, signalId, state };
    }
    return { kind: 'rejected', id, reason: rejection(result) };
  });
};

const rejection = (error: Error): string =>
  error instanceof InvalidSignalError ? JSON.stringify(error.invalidFields) : error.message;
