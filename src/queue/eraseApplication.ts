import type { Job, JobType } from 'bullmq';

import { ApplicationIdSchema } from '../schemas/seekToken.ts';
import { type SignalJob, SignalJobSchema } from '../schemas/signalJob.ts';
import { fingerprintOf } from '../tokenCipher.ts';
import { type Backend, DEAD_LETTERS, type Finished, type JobQueue, SIGNALS } from './backend.ts';
import type { DeadLetters } from './deadLetters.ts';
import { everyLetter } from './letterPages.ts';
import type { SeekTokens } from './seekTokens.ts';
import type { SignalLives } from './signalLives.ts';

const ERASED = 'application-erased';
const ERASABLE = ['waiting', 'delayed', 'failed', 'completed'] as const;
type Erasable = (typeof ERASABLE)[number];
const PAGE = 500;
// A signal may move on while we look: it is found the next time round.
const MOST_ROUNDS = 5;

type Deps = {
  backend: Backend;
  tokens: Pick<SeekTokens, 'erase'>;
  lives: Pick<SignalLives, 'find'>;
  deadLetters: Pick<DeadLetters, 'discard'>;
};

/**
 * Erases an application on request: its seek tokens, and every signal that names it or holds one of
 * them, whether it waits, was given up, or was delivered and is kept for lookups. What had not been
 * sent is skipped, with the reason. One that is being sent at this moment is skipped when it comes back.
 */
export const createEraseApplication = ({ backend, tokens, lives, deadLetters }: Deps) => {
  /** Removes one that was not sent: the record comes first, for it must still be able to say why. */
  const skip = async (
    { id: signalId = '' }: Job,
    remove: () => Promise<boolean>,
  ): Promise<boolean> => {
    const life = await lives.find(signalId);
    if (life === undefined) return false;
    await backend.ledger.keepSkipped({ ...life, state: 'skipped', reason: ERASED });
    if (!(await remove())) {
      await backend.ledger.dropSkipped(signalId);
      return false;
    }
    await backend.ledger.settle([{ signalId, outcome: 'skipped' }]);
    return true;
  };

  const removeFinished = async (state: Finished, { id = '', finishedOn }: Job): Promise<boolean> =>
    finishedOn !== undefined &&
    backend.removeFinished(SIGNALS, state, { jobId: id, finishedAt: finishedOn });

  const eraseOne = (queue: JobQueue, state: Erasable, job: Job): Promise<boolean> => {
    switch (state) {
      case 'waiting':
      case 'delayed':
        return skip(job, async () => (await queue.remove(job.id ?? '')) === 1);
      case 'failed':
        return skip(job, () => removeFinished('failed', job));
      case 'completed':
        return removeFinished('completed', job);
    }
  };

  const eraseSignals = async (isOfIt: IsOfIt): Promise<Round> => {
    const queue = await backend.queue(SIGNALS);
    const round = { found: 0, erased: 0 };
    for (const state of ERASABLE) {
      for await (const job of everyJob(queue, state)) {
        if (!isOfIt(job.data)) continue;
        round.found += 1;
        if (await eraseOne(queue, state, job)) round.erased += 1;
      }
    }
    return round;
  };

  const eraseLetters = async (isOfIt: IsOfIt): Promise<Round> => {
    const found: string[] = [];
    for await (const { letter } of everyLetter(await backend.queue(DEAD_LETTERS))) {
      if (isOfIt(letter.job)) found.push(letter.signalId);
    }
    let erased = 0;
    for (const id of found) {
      if ((await deadLetters.discard(id, ERASED)) === 'discarded') erased += 1;
    }
    return { found: found.length, erased };
  };

  /** Resolves with how many signals were erased with it. */
  return async (id: string): Promise<number> => {
    // A caller's slip, such as undefined, would match every signal that names no application.
    const applicationId = ApplicationIdSchema.parse(id);
    const fingerprints = new Set(await tokens.erase(applicationId));
    const isOfIt = createMatch(applicationId, fingerprints);
    let erased = 0;
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const [signals, letters] = [await eraseSignals(isOfIt), await eraseLetters(isOfIt)];
      erased += signals.erased + letters.erased;
      if (signals.found + letters.found === 0) break;
    }
    return erased;
  };
};

export type EraseApplication = ReturnType<typeof createEraseApplication>;

type IsOfIt = (job: unknown) => boolean;
/** What is on its way is found, but not erased this time. */
type Round = { found: number; erased: number };

const createMatch = (applicationId: string, fingerprints: ReadonlySet<string>): IsOfIt => {
  const holdsToken = ({ signal: { token }, sealedToken }: SignalJob): boolean =>
    (sealedToken !== undefined && fingerprints.has(sealedToken.fingerprint)) ||
    (token !== undefined && fingerprints.has(fingerprintOf(token)));

  return (data) => {
    const job = SignalJobSchema.safeParse(data).data;
    if (job === undefined) return false;
    return job.signal.applicationId === applicationId || (fingerprints.size > 0 && holdsToken(job));
  };
};

/** The oldest last: what comes in meanwhile moves nothing past us. */
const everyJob = async function* (queue: JobQueue, state: JobType): AsyncGenerator<Job> {
  for (let start = 0; ; start += PAGE) {
    const jobs = await queue.getJobs([state], start, start + PAGE - 1);
    for (const job of jobs) if (job) yield job;
    if (jobs.length === 0) return;
  }
};
