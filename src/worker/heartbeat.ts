import { codeLabel, type Metrics } from '../observability/metrics.ts';
import type { OutcomeCounts, WorkerStats } from '../queue/workerStats.ts';
import { queueTimedOut, withDeadline } from '../runtime/async.ts';

const HEARTBEAT_INTERVAL_MS = 15_000;
const CLOSE_TIMEOUT_MS = 1_000;

type Deps = {
  workerStats: Pick<WorkerStats, 'recordHeartbeat' | 'removeWorker'>;
  /** The name of this worker in the statistics. */
  worker: string;
  intervalMs?: number;
};

/** Records regularly that this worker is alive, with the outcomes that it counted since. */
export const createHeartbeat = ({
  workerStats,
  worker,
  intervalMs = HEARTBEAT_INTERVAL_MS,
}: Deps) => {
  let counts: OutcomeCounts = {};
  let recording: Promise<void> | undefined;

  const count = (outcome: string, times = 1): void => {
    counts[outcome] = (counts[outcome] ?? 0) + times;
  };
  const record = (): Promise<void> => {
    const answers = counts;
    counts = {};
    return workerStats.recordHeartbeat({ worker, answers }).catch(() => {
      // Add the counts to the next heartbeat. Not logged: only a chart of the board is affected.
      for (const [outcome, times] of Object.entries(answers)) count(outcome, times);
    });
  };
  const recordOnce = (): Promise<void> => {
    recording ??= record().finally(() => {
      recording = undefined;
    });
    return recording;
  };
  const timer = setInterval(() => void recordOnce(), intervalMs);
  void recordOnce();

  return {
    count,
    close: async (): Promise<void> => {
      clearInterval(timer);
      const removeWorker = async (): Promise<void> => {
        await recording;
        await recordOnce();
        await workerStats.removeWorker(worker);
      };
      await withDeadline(removeWorker(), CLOSE_TIMEOUT_MS, queueTimedOut);
    },
  };
};

export type Counters = {
  attempts: { inc: (labels: { outcome: string; code: string }) => void };
  deferred: { inc: (labels: { code: string }) => void };
  tokenFailures: { inc: (labels: { code: string }) => void };
};

/** Metrics that also count each outcome for the board's chart. */
export const countOutcomes = (
  count: (outcome: string) => void,
  { attempts, deferred, tokenFailures, requestSeconds, unconfirmed }: Metrics,
): Counters & Pick<Metrics, 'requestSeconds' | 'unconfirmed'> => ({
  attempts: {
    inc: ({ outcome, code }) => {
      attempts.inc({ outcome, code });
      count(code === '' ? outcome : code);
    },
  },
  deferred: {
    inc: ({ code }) => {
      deferred.inc({ code });
      count(code);
    },
  },
  tokenFailures: {
    inc: ({ code }) => {
      tokenFailures.inc({ code });
      count(codeLabel(code));
    },
  },
  requestSeconds,
  unconfirmed,
});
