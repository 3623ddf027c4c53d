import { createMoveToDeadLetters } from '../../src/deadLetters/moveToDeadLetters.ts';
import { DEAD_LETTERS, SIGNALS } from '../../src/queue/backend.ts';
import { buildApplicationComplete } from '../support/buildSignal.ts';
import { failJobs } from '../support/failJobs.ts';
import type { Platform } from '../support/platforms.ts';
import { refused, type Script } from '../support/scriptedSeek.ts';
import { newToken } from '../support/startDispatcher.ts';
import { usePlatform } from '../support/usePlatform.ts';

export const complete = () => buildApplicationComplete({ token: newToken() });
export const many = (count: number) => Array.from({ length: count }, complete);
export const always =
  (code: string): Script =>
  () =>
    refused(code);

/** Within a `describe`: dispatchers on one platform, with direct access to both queues. */
export const useDeadLetters = (start: () => Promise<Platform>) => {
  const { setup: setupDispatcher } = usePlatform(start);

  const setup = async (options: Parameters<typeof setupDispatcher>[0] = {}) => {
    const dispatcher = await setupDispatcher(options);
    const backend = dispatcher.openBackend();
    const signals = await backend.bullQueue(SIGNALS);
    const deadLetters = await backend.bullQueue(DEAD_LETTERS);

    /** For each id: its state in the signals, and whether it is a failed dead letter. */
    const places = async (ids: string[]) =>
      Promise.all(
        ids.map(async (id) => {
          const signal = await signals.getJobState(id);
          const deadLetter = await deadLetters.getJobState(id);
          return [
            ...(signal === 'unknown' ? [] : [signal]),
            ...(deadLetter === 'failed' ? ['dead letter'] : []),
          ];
        }),
      );

    return {
      ...dispatcher,
      backend,
      signals,
      deadLetters,
      places,
      moveToDeadLetters: createMoveToDeadLetters(backend),
      /** Signals that a worker failed before it crashed. Nothing has moved them to the dead letters. */
      fail: async (count: number): Promise<string[]> => {
        const accepted = await dispatcher.sendAll(many(count));
        const ids = accepted.map(({ signalId }) => signalId);
        await failJobs({ backend, reason: 'FORBIDDEN: no relationship', count });
        return ids;
      },
    };
  };

  return { setup };
};
