import type { Unready } from '../../observability/health.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Backend } from '../../queue/backend.ts';
import type { ExplainFailure } from '../../queue/failure.ts';
import { queueTimedOut, singleFlight, withDeadline } from '../../runtime/async.ts';

const TIMEOUT_MS = 2_000;

/** What a process needs of the queue: `accept` is a write that `WAIT_REPLICAS` replicas have. */
export type Need = 'read' | 'write' | 'accept';

type Queue = Pick<Backend, 'checkRead' | 'checkWrite' | 'waitForReplicas'>;

/** Rejects unless the queue does what the process needs. PING succeeds on a Redis that refuses every signal. */
export const checkNeed = async (need: Need, queue: Queue): Promise<void> => {
  if (need === 'read') return queue.checkRead();
  const since = performance.now();
  await queue.checkWrite();
  if (need === 'accept') await queue.waitForReplicas(since);
};

/** Something without which the process is not ready. `name` is public, the explanation is only logged. */
type Requirement = { name: string; ask: () => Promise<unknown>; explain: ExplainFailure };

/**
 * Returns the readiness check of a process. It ends within two seconds, and concurrent health checks share
 * one run. A change is logged with its reason.
 */
export const createReadiness = (requirements: readonly Requirement[], logger: Logger) => {
  let lastCode: string | undefined;
  const askAll = requirements.map(({ name, ask, explain }) => {
    const askOnce = singleFlight(ask);
    return async (): Promise<(Unready & { reason: string }) | undefined> => {
      let isLate = false;
      const onLate = (): Error => {
        isLate = true;
        return queueTimedOut();
      };
      try {
        await withDeadline(askOnce(), TIMEOUT_MS, onLate);
        return undefined;
      } catch (err) {
        const { code, message } = explain(isLate ? undefined : err);
        return { code, message: `The ${name} is unavailable`, reason: message };
      }
    };
  });

  return singleFlight(async (): Promise<Unready | undefined> => {
    const [unready] = (await Promise.all(askAll.map((ask) => ask()))).filter(
      (answer) => answer !== undefined,
    );
    if (unready?.code !== lastCode) {
      if (unready === undefined) logger.info('Ready again');
      else logger.warn({ code: unready.code, reason: unready.reason }, 'Not ready');
    }
    lastCode = unready?.code;
    return unready && { code: unready.code, message: unready.message };
  });
};
