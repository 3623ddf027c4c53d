import { setTimeout as wait } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { type Backend, DEAD_LETTERS } from '../queue/backend.ts';
import { readDeadLetter } from '../queue/readDeadLetters.ts';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import type { InvalidFields } from '../schemas/invalidFields.ts';
import { isObject } from '../schemas/json.ts';
import type { Redrive } from '../schemas/signalJob.ts';
import { createPreviewRedrive, createRedriveMany } from './redriveMany.ts';
import { revalidate } from './revalidate.ts';

/** The outcome of a redrive of one dead letter. */
export type RedriveOutcome =
  | { kind: 'redriven' | 'not-found' | 'busy' }
  /** The signal would fail validation today, so the dead letter stays. */
  | { kind: 'invalid'; invalidFields: InvalidFields };

type RequestOutcome = RedriveOutcome | { kind: 'in-progress' };

// A dead letter that changes its state is checked again this often before the answer is `busy`.
const MAX_STATE_CHECKS = 40;
const STATE_CHECK_INTERVAL_MS = 50;

type Deps = {
  backend: Pick<Backend, 'jobs'>;
  find: (signalId: string) => Promise<Job | undefined>;
  /** Yields every dead letter once, even while others are redriven. */
  eachOnce: () => AsyncIterable<{ deadLetter: DeadLetter }>;
  now: () => Date;
  pause?: (ms: number) => Promise<unknown>;
};

/** Puts dead letters back into the queue, and records in the signal who requested it. */
export const createRedrive = ({ backend, find, eachOnce, now, pause = wait }: Deps) => {
  const request = createRequest({ backend, find, now, pause });

  return {
    /** `by` names the API key or the operator that requests the redrive. */
    redrive: async (signalId: string, by: string): Promise<RedriveOutcome> => {
      const outcome = await request(signalId, by);
      return outcome.kind === 'in-progress' ? { kind: 'redriven' } : outcome;
    },

    /** Predicts the result of `redrive` and changes nothing. It cannot predict `busy`. */
    wouldRedrive: async (signalId: string): Promise<RedriveOutcome> => {
      const deadLetter = readDeadLetter(await find(signalId));
      if (deadLetter === undefined) return { kind: 'not-found' };
      const invalidFields = revalidate(deadLetter, now());
      return invalidFields === undefined
        ? { kind: 'redriven' }
        : { kind: 'invalid', invalidFields };
    },

    redriveMany: createRedriveMany({ eachOnce, request, now }),
    previewRedrive: createPreviewRedrive({ eachOnce, now }),

    /**
     * Records who is about to retry a dead letter. The board needs it, because its own Retry carries no
     * name. Changes nothing else, and has no effect if no failed dead letter of this id exists.
     */
    noteRedriver: async (signalId: string, by: string): Promise<void> => {
      const job = await find(signalId);
      const deadLetter = readDeadLetter(job);
      if (job === undefined || deadLetter === undefined || (await job.getState()) !== 'failed')
        return;
      await annotateDeadLetter(backend, job, { redriveBy: { at: now().toISOString(), by } });
    },
  };
};

type RequestDeps = Pick<Deps, 'backend' | 'find' | 'now'> & {
  pause: (ms: number) => Promise<unknown>;
};

const createRequest =
  ({ backend, find, now, pause }: RequestDeps) =>
  async (signalId: string, by: string): Promise<RequestOutcome> => {
    for (let checks = 0; checks < MAX_STATE_CHECKS; checks += 1) {
      const job = await find(signalId);
      const deadLetter = readDeadLetter(job);
      if (job === undefined || deadLetter === undefined) {
        // It was there at an earlier check, so a redrive has removed it since.
        return { kind: checks > 0 ? 'in-progress' : 'not-found' };
      }
      const invalidFields = revalidate(deadLetter, now());
      if (invalidFields !== undefined) return { kind: 'invalid', invalidFields };
      const kind = await requestOnce(backend, job, deadLetter, { at: now().toISOString(), by });
      if (kind !== undefined) return { kind };
      await pause(STATE_CHECK_INTERVAL_MS);
    }
    return { kind: 'busy' };
  };

/**
 * Retries a failed dead letter, as the board's own Retry does; the redrive worker does the rest. A dead
 * letter that no worker has failed yet cannot be retried, so it is marked instead. Resolves with
 * `undefined` while the dead letter changes its state.
 */
const requestOnce = async (
  backend: Pick<Backend, 'jobs'>,
  job: Job,
  deadLetter: DeadLetter,
  redriveBy: Redrive,
): Promise<'redriven' | 'in-progress' | undefined> => {
  switch (await job.getState()) {
    case 'failed':
      // Of two concurrent requests only one retries the job. The recorded name may be the other's.
      await annotateDeadLetter(backend, job, { redriveBy });
      return job.retry('failed').then(
        () => 'redriven',
        () => undefined,
      );
    case 'waiting': {
      if (job.attemptsMade > 0 || deadLetter.redriveRequested) return 'in-progress';
      const isMarked = await annotateDeadLetter(backend, job, {
        redriveBy,
        redriveRequested: true,
      });
      return isMarked && (await job.getState()) === 'waiting' ? 'redriven' : undefined;
    }
    default:
      return undefined;
  }
};

/** Whether a redrive is requested, and who requested it. */
type Annotation = Pick<DeadLetter, 'redriveBy' | 'redriveRequested'>;

/**
 * Writes into a dead letter only while it is as it was read. Otherwise the write could replace a newer
 * failure of the signal, which the dead letter took over since, with the older one. Resolves with
 * `false` if the dead letter has changed or is gone.
 */
export const annotateDeadLetter = (
  { jobs }: Pick<Backend, 'jobs'>,
  { id = '', data }: Pick<Job, 'id' | 'data'>,
  annotation: Annotation,
): Promise<boolean> =>
  jobs.replaceData(
    DEAD_LETTERS,
    { id, text: JSON.stringify(data) },
    { ...(isObject(data) ? data : {}), ...annotation },
  );
