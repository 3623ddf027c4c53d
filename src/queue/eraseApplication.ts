import { setTimeout as wait } from 'node:timers/promises';
import type { Job } from 'bullmq';

import { ApplicationIdSchema } from '../schemas/seekToken.ts';
import { type SignalJob, SignalJobSchema } from '../schemas/signalJob.ts';
import { fingerprintOf } from '../tokenCipher.ts';
import { type Backend, DEAD_LETTERS, type Finished, SIGNALS } from './backend.ts';
import type { DeadLetters } from './deadLetters.ts';
import { everyJob } from './everyJob.ts';
import { everyLetter } from './letterPages.ts';
import type { SeekTokens } from './seekTokens.ts';
import type { SignalLives } from './signalLives.ts';

const ERASED = 'application-erased';
const STATES = ['waiting', 'delayed', 'active', 'failed', 'completed'] as const;
type State = (typeof STATES)[number];
const LOOK_AGAIN_MS = 250;

/** In milliseconds: a signal that is being sent may take most of it, and so may a long queue. */
export const ERASE_WITHIN_MS = 60_000;

type Deps = {
  backend: Backend;
  tokens: Pick<SeekTokens, 'erase'>;
  lives: Pick<SignalLives, 'find'>;
  deadLetters: Pick<DeadLetters, 'discard'>;
  pause?: (ms: number) => Promise<unknown>;
};

/**
 * Erases an application on request: its seek tokens, and every signal that names it or holds one of
 * them, whether it waits, was given up, or was delivered and is kept for lookups. What had not been
 * sent is skipped, with the reason. What is being sent at this moment is waited for. May be repeated
 * after any failure, and does the rest.
 */
export const createEraseApplication = (deps: Deps) => {
  const { backend, tokens, lives, deadLetters, pause = wait } = deps;

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

  const eraseOne = async (state: State, job: Job): Promise<boolean> => {
    switch (state) {
      case 'waiting':
      case 'delayed':
        return skip(job, () => backend.removeWaiting(job.id ?? ''));
      case 'active':
        return false;
      case 'failed':
        return skip(job, () => removeFinished('failed', job));
      case 'completed': {
        // Its duplicates are told what became of it: delivered, unless there is word to the contrary.
        const life = await lives.find(job.id ?? '');
        if (life?.state === 'skipped') await backend.ledger.keepSkipped(life);
        return removeFinished('completed', job);
      }
    }
  };

  const eraseSignals = async (isOfIt: IsOfIt): Promise<Round> => {
    const queue = await backend.queue(SIGNALS);
    const round = { found: 0, erased: 0 };
    for (const state of STATES) {
      for await (const job of everyJob(queue, state)) {
        if (!isOfIt(job.data)) continue;
        round.found += 1;
        if (await eraseOne(state, job)) round.erased += 1;
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
    const deadline = performance.now() + ERASE_WITHIN_MS;
    let erased = 0;
    // Until a look finds nothing: a signal may move on while we look, or just be sent.
    for (;;) {
      const [signals, letters] = [await eraseSignals(isOfIt), await eraseLetters(isOfIt)];
      const round = {
        found: signals.found + letters.found,
        erased: signals.erased + letters.erased,
      };
      erased += round.erased;
      if (round.found === 0) return erased;
      if (performance.now() > deadline) throw new Error('Its signals are still on their way');
      if (round.erased < round.found) await pause(LOOK_AGAIN_MS);
    }
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
