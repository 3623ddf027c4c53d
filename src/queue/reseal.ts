import { setTimeout as wait } from 'node:timers/promises';
import type { Job } from 'bullmq';

import { SignalJobSchema, versionOf } from '../schemas/signalJob.ts';
import { fingerprintOf, newTally, type Tally, type TokenCipher } from '../tokenCipher.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from './backend.ts';
import { everyJob } from './everyJob.ts';
import { readLetter } from './readLetter.ts';
import type { SeekTokens } from './seekTokens.ts';

const STATES = ['waiting', 'delayed', 'active', 'failed', 'completed'] as const;
// Most signals are in hand for less than a second, and none for longer than SEEK may take to answer.
const LOOK_AGAIN_MS = 250;
const MOST_LOOKS = 240;
const MOST_ROUNDS = 10;

type Deps = {
  backend: Pick<Backend, 'queue' | 'tokens' | 'jobData'>;
  tokens: Pick<SeekTokens, 'reseal'>;
  cipher: Pick<TokenCipher, 'renew'>;
  pause?: (ms: number) => Promise<unknown>;
};

export type Resealed = {
  resealed: number;
  /** No key that we were given opens them. They stay as they are. */
  unopened: number;
  /** Whether a last look found nothing left to do. */
  done: boolean;
};

/**
 * Seals every token that the queue keeps with the first key: in the registry, in signals, in dead
 * letters. Once that is done, and no producer seals with another key any more, only those that could
 * not be opened need one.
 */
export const createReseal = ({ backend, tokens, cipher, pause = wait }: Deps) => {
  const renew = (data: unknown, signalId: string) => {
    const job = SignalJobSchema.safeParse(data).data;
    if (job === undefined) return { kind: 'kept' } as const;
    const { token, ...signal } = job.signal;
    const { sealed, fingerprint = fingerprintOf(token ?? '') } = job.sealedToken ?? {};
    const renewal = cipher.renew({ token, sealed }, signalId);
    if (renewal.kind !== 'resealed') return renewal;
    const renewed = { ...job, signal, sealedToken: { sealed: renewal.sealed, fingerprint } };
    return { ...renewal, data: { ...renewed, version: versionOf(renewed) } };
  };

  const renewLetter = (job: Job) => {
    const letter = readLetter(job);
    if (letter === undefined) return { kind: 'kept' } as const;
    const renewal = renew(letter.job, letter.burial.jobId);
    return 'data' in renewal ? { ...renewal, data: { ...letter, job: renewal.data } } : renewal;
  };

  const resealJobs = async (name: typeof SIGNALS | typeof DEAD_LETTERS, tally: Tally) => {
    const queue = await backend.queue(name);
    const inHand: Job[] = [];
    for (const state of STATES) {
      for await (const job of everyJob(queue, state)) {
        const renewal = name === SIGNALS ? renew(job.data, job.id ?? '') : renewLetter(job);
        tally[renewal.kind] += 1;
        if (!('data' in renewal)) continue;
        await backend.jobData.replace(job, job.data, renewal.data);
        // Whoever has it read it as it was, and may write it back so.
        if (await job.isActive()) inHand.push(job);
      }
    }
    return inHand;
  };

  const letGo = async (inHand: Job[]): Promise<void> => {
    for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
      const active = await Promise.all(inHand.map((job) => job.isActive()));
      if (!active.includes(true)) return;
      await pause(LOOK_AGAIN_MS);
    }
  };

  const round = async (): Promise<Tally> => {
    const tally = newTally();
    for await (const applicationId of backend.tokens.applications()) {
      const { unopened, resealed } = await tokens.reseal(applicationId);
      tally.unopened += unopened;
      tally.resealed += resealed;
    }
    await letGo([
      ...(await resealJobs(SIGNALS, tally)),
      ...(await resealJobs(DEAD_LETTERS, tally)),
    ]);
    return tally;
  };

  return async (): Promise<Resealed> => {
    const total: Resealed = { resealed: 0, unopened: 0, done: false };
    for (let rounds = 0; rounds < MOST_ROUNDS && !total.done; rounds += 1) {
      const { resealed, unopened } = await round();
      total.resealed += resealed;
      total.unopened = unopened;
      total.done = resealed === 0;
    }
    return total;
  };
};

export type Reseal = ReturnType<typeof createReseal>;
