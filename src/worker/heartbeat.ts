import { codeLabel, type Metrics } from '../observability/metrics.ts';
import type { OutcomeCounts, WorkerStats } from '../queue/workerStats.ts';
import { queueTimedOut, withDeadline } from '../runtime/async.ts';

const BEAT_EVERY_MS = 15_000;
const LEAVE_WITHIN_MS = 1_000;

type Deps = {
  workerStats: Pick<WorkerStats, 'recordHeartbeat' | 'removeWorker'>;
  worker: string;
  everyMs?: number;
};

/** Tells now and then that this worker is alive, and how its attempts went, for people to look at. */
export const createHeartbeat = ({ workerStats, worker, everyMs = BEAT_EVERY_MS }: Deps) => {
  let answers: OutcomeCounts = {};
  let beating: Promise<void> | undefined;

  const count = (answer: string, times = 1): void => {
    answers[answer] = (answers[answer] ?? 0) + times;
  };
  const recordHeartbeat = (): Promise<void> => {
    const told = answers;
    answers = {};
    return workerStats.recordHeartbeat({ worker, answers: told }).catch(() => {
      // No more than a chart is at stake, and whoever looks after the queue hears of it elsewhere.
      for (const [answer, times] of Object.entries(told)) count(answer, times);
    });
  };
  const beatInTurn = (): Promise<void> => {
    beating ??= recordHeartbeat().finally(() => {
      beating = undefined;
    });
    return beating;
  };
  const timer = setInterval(() => void beatInTurn(), everyMs);
  void beatInTurn();

  return {
    count,
    close: async (): Promise<void> => {
      clearInterval(timer);
      const removeWorker = async (): Promise<void> => {
        await beating;
        await beatInTurn();
        await workerStats.removeWorker(worker);
      };
      await withDeadline(removeWorker(), LEAVE_WITHIN_MS, queueTimedOut);
    },
  };
};

export type Counters = {
  attempts: { inc: (labels: { outcome: string; code: string }) => void };
  deferred: { inc: (labels: { code: string }) => void };
  tokenFailures: { inc: (labels: { code: string }) => void };
};

/** Counts what became of attempts a second time, for those who look at the board. */
export const countAnswers = (
  count: (answer: string) => void,
  { attempts, deferred, tokenFailures, requestSeconds }: Metrics,
): Counters & Pick<Metrics, 'requestSeconds'> => ({
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
});
