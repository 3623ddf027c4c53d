import { setTimeout as wait } from 'node:timers/promises';
import type { Job } from 'bullmq';
import * as z from 'zod';
import { type Backend, DEAD_LETTERS } from '../queue/backend.ts';
import { readDeadLetter } from '../queue/readDeadLetters.ts';
import type { DeadLetter } from '../schemas/deadLetter.ts';
import { type InvalidFields, toInvalidFields } from '../schemas/invalidFields.ts';
import { isObject } from '../schemas/json.ts';
import { parseSignal } from '../schemas/parseSignal.ts';
import { type Redrive, SignalJobSchema, VERSION } from '../schemas/signalJob.ts';
import { type DeadLetterFilter, matches } from './filter.ts';
import { createRedriveMany, createRedrivePreview, type RedrivePreview } from './redriveMany.ts';

export type Redriven =
  | { kind: 'redriven' | 'not-found' | 'busy' }
  /** It would not be accepted today, and is not put back. */
  | { kind: 'invalid'; invalidFields: InvalidFields };

type Asked = Redriven | { kind: 'under way' };

// Where a dead letter is between states for a moment, look again so often before saying `busy`.
const LOOKS = 40;
const LOOK_EVERY_MS = 50;

type Deps = {
  backend: Pick<Backend, 'jobs'>;
  find: (signalId: string) => Promise<Job | undefined>;
  /** All dead letters, each once, whatever is put back meanwhile. */
  every: () => AsyncIterable<{ deadLetter: DeadLetter }>;
  now: () => Date;
  pause?: (ms: number) => Promise<unknown>;
};

/** Puts dead letters back, for somebody who is named in the signal's history. */
export const createRedrive = ({ backend, find, every, now, pause = wait }: Deps) => {
  const request = createRequest(backend);
  const askedBy = (by: string): Redrive => ({ at: now().toISOString(), by });

  const ask = async (signalId: string, by: string): Promise<Asked> => {
    for (let look = 0; look < LOOKS; look += 1) {
      const job = await find(signalId);
      const deadLetter = readDeadLetter(job);
      if (job === undefined || deadLetter === undefined) {
        return { kind: look > 0 ? 'under way' : 'not-found' };
      }
      const invalidFields = revalidate(deadLetter, now());
      if (invalidFields !== undefined) return { kind: 'invalid', invalidFields };
      const asked = await request(job, deadLetter, askedBy(by));
      if (asked !== undefined) return { kind: asked };
      await pause(LOOK_EVERY_MS);
    }
    return { kind: 'busy' };
  };

  return {
    /** `by`: the name of an API key, or another name that tells who asks. */
    redrive: async (signalId: string, by: string): Promise<Redriven> => {
      const asked = await ask(signalId, by);
      return asked.kind === 'under way' ? { kind: 'redriven' } : asked;
    },

    /** What `redrive` would say, as far as that can be known. */
    wouldRedrive: async (signalId: string): Promise<Redriven> => {
      const deadLetter = readDeadLetter(await find(signalId));
      if (deadLetter === undefined) return { kind: 'not-found' };
      const invalidFields = revalidate(deadLetter, now());
      return invalidFields === undefined
        ? { kind: 'redriven' }
        : { kind: 'invalid', invalidFields };
    },

    redriveMany: createRedriveMany({ every, ask, now }),

    /** What `redriveMany` would do. */
    previewRedrive: async ({
      limit = Number.POSITIVE_INFINITY,
      ...filter
    }: DeadLetterFilter): Promise<RedrivePreview> => {
      const preview = createRedrivePreview();
      for await (const { deadLetter } of every()) {
        if (!matches(deadLetter, filter)) continue;
        if (preview.wouldRedrive() === limit) break;
        preview.add(deadLetter, revalidate(deadLetter, now()));
      }
      return preview.outcome();
    },

    /**
     * Notes who is about to retry a dead letter by a way that has no place for a name, as the board's own
     * Retry has none. Changes nothing else, and says nothing where there is no such failed dead letter.
     */
    noteRedriver: async (signalId: string, by: string): Promise<void> => {
      const job = await find(signalId);
      const deadLetter = readDeadLetter(job);
      if (job === undefined || deadLetter === undefined || (await job.getState()) !== 'failed')
        return;
      await annotateDeadLetter(backend, job, { redriveBy: askedBy(by) });
    },
  };
};

/**
 * A failed dead letter is retried; the worker on `dead-letters` does the rest, as it does for the board's
 * own Retry. One that no worker has failed yet can't be retried, so it is marked instead.
 */
const createRequest =
  (backend: Pick<Backend, 'jobs'>) =>
  async (
    job: Job,
    deadLetter: DeadLetter,
    redriveBy: Redrive,
  ): Promise<'redriven' | 'under way' | undefined> => {
    switch (await job.getState()) {
      case 'failed':
        // Of two who ask at once one is noted, and one, be it the other, can retry it.
        await annotateDeadLetter(backend, job, { redriveBy });
        return job.retry('failed').then(
          () => 'redriven',
          () => undefined,
        );
      case 'waiting': {
        if (job.attemptsMade > 0 || deadLetter.redriveRequested) return 'under way';
        const isNoted = await annotateDeadLetter(backend, job, {
          redriveBy,
          redriveRequested: true,
        });
        return isNoted && (await job.getState()) === 'waiting' ? 'redriven' : undefined;
      }
      default:
        return undefined;
    }
  };

/** What is asked of a dead letter, and by whom. */
type Notes = Pick<DeadLetter, 'redriveBy' | 'redriveRequested'>;

/**
 * Writes into a dead letter while it is as it was read: one that took up a newer burial of its signal since
 * would be overwritten with the older. `false`: it is not, or it has gone.
 */
export const annotateDeadLetter = (
  { jobs }: Pick<Backend, 'jobs'>,
  { id = '', data }: Job,
  notes: Notes,
): Promise<boolean> =>
  jobs.swap(
    DEAD_LETTERS,
    { id, text: JSON.stringify(data) },
    { ...(isObject(data) ? data : {}), ...notes },
  );

const NewerJobSchema = z.looseObject({ version: z.int().gt(VERSION) });

// The token of a sealed signal was looked at when it came, and what stands beside it still can be.
const SEALED_TOKEN = 'sealed';

/**
 * What the rules at the door, as they are today, have against the signal of a dead letter; `undefined`:
 * nothing. It would come back as it went. What SEEK once said against it is no rule of ours, and SEEK
 * may have changed its mind. A job that a newer version wrote is for a newer worker to judge.
 */
export const revalidate = ({ job }: DeadLetter, now: Date): InvalidFields | undefined => {
  const read = SignalJobSchema.safeParse(job, { reportInput: true });
  if (!read.success) {
    return NewerJobSchema.safeParse(job).success ? undefined : toInvalidFields(read.error);
  }
  const { signal, encryptedToken } = read.data;
  const whole = encryptedToken === undefined ? signal : { ...signal, token: SEALED_TOKEN };
  // A type that was let in is let in again, whatever is set now. The audience only makes for warnings.
  const parsed = parseSignal(whole, { now, allowUnknownTypes: true, audience: '' });
  return parsed.kind === 'valid' ? undefined : parsed.invalidFields;
};
