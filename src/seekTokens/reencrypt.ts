import { setTimeout as wait } from 'node:timers/promises';
import { type Backend, DEAD_LETTERS, type QueueName, SIGNALS } from '../queue/backend.ts';
import { parseLetter } from '../queue/readDeadLetters.ts';
import { fingerprintOf, newTally, type Tally, type TokenCipher } from '../runtime/tokenCipher.ts';
import { parseJson } from '../schemas/json.ts';
import { SignalJobSchema, VERSION } from '../schemas/signalJob.ts';
import type { SeekTokens } from './registry.ts';
import { UnreadableTokensError } from './registry.ts';

const AT_ONCE = 50;
// Most signals are in hand for less than a second, and few for longer than SEEK may take to answer.
const LOOK_AGAIN_MS = 250;
const MOST_LOOKS = 240;
const MOST_ROUNDS = 10;
const SEALED = /v1\.[0-9a-f]{8}\.[\w-]+/g;

type Deps = {
  backend: Pick<Backend, 'queue' | 'tokens' | 'jobs'>;
  tokens: Pick<SeekTokens, 'reseal'>;
  cipher: Pick<TokenCipher, 'renew'>;
  pause?: (ms: number) => Promise<unknown>;
};

export type Resealed = {
  resealed: number;
  /** No key that we were given opens them. They stay as they are. */
  unopened: number;
  /** Whether a last round found nothing left to do, and nobody with old data in hand. */
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
    if (job === undefined) return judgeUnreadable(JSON.stringify(data) ?? '');
    const { token, ...signal } = job.signal;
    const { sealed, fingerprint = fingerprintOf(token ?? '') } = job.sealedToken ?? {};
    const renewal = cipher.renew({ token, sealed }, signalId);
    if (renewal.kind !== 'resealed') return renewal;
    const renewed = { ...job, signal, sealedToken: { sealed: renewal.sealed, fingerprint } };
    return { ...renewal, data: { ...renewed, version: VERSION } };
  };

  /** Of a version that came after this one: what it holds can be seen, but not put back. */
  const judgeUnreadable = (text: string) => {
    const isOther = (sealed: string) => cipher.renew({ sealed }, '').kind === 'unopened';
    return { kind: (text.match(SEALED) ?? []).some(isOther) ? 'unopened' : 'kept' } as const;
  };

  const renewLetter = (data: unknown) => {
    const letter = parseLetter(data);
    if (letter === undefined) return judgeUnreadable(JSON.stringify(data) ?? '');
    const renewal = renew(letter.job, letter.burial.jobId);
    return 'data' in renewal ? { ...renewal, data: { ...letter, job: renewal.data } } : renewal;
  };

  const isInHand = async (name: QueueName, id: string): Promise<boolean> =>
    (await (await backend.queue(name)).getJobState(id)) === 'active';

  /** Resolves with the ids of those that somebody had in hand: read as they were, written back so. */
  const resealJobs = async (name: QueueName, tally: Tally): Promise<string[]> => {
    const inHand: string[] = [];
    for await (const { id, text } of backend.jobs.every(name)) {
      const data = parseJson(text);
      const renewal = name === SIGNALS ? renew(data, id) : renewLetter(data);
      tally[renewal.kind] += 1;
      if (!('data' in renewal)) continue;
      await backend.jobs.swap(name, { id, text }, renewal.data);
      if (await isInHand(name, id)) inHand.push(id);
    }
    return inHand;
  };

  /** Says whether they are. */
  const waitUntilLetGo = async (name: QueueName, inHand: string[]): Promise<boolean> => {
    for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
      const still = await Promise.all(inHand.map((id) => isInHand(name, id)));
      if (!still.includes(true)) return true;
      await pause(LOOK_AGAIN_MS);
    }
    return false;
  };

  const resealApplications = async (tally: Tally): Promise<void> => {
    const reseal = async (applicationId: string): Promise<void> => {
      const one = await tokens.reseal(applicationId).catch((err: unknown) => {
        if (!(err instanceof UnreadableTokensError)) throw err;
        return { resealed: 0, unopened: 1 };
      });
      tally.resealed += one.resealed;
      tally.unopened += one.unopened;
    };
    let some: string[] = [];
    for await (const applicationId of backend.tokens.applications()) {
      some.push(applicationId);
      if (some.length < AT_ONCE) continue;
      await Promise.all(some.map(reseal));
      some = [];
    }
    await Promise.all(some.map(reseal));
  };

  const round = async () => {
    const tally = newTally();
    await resealApplications(tally);
    let letGo = true;
    for (const name of [SIGNALS, DEAD_LETTERS] as const) {
      const inHand = await resealJobs(name, tally);
      if (!(await waitUntilLetGo(name, inHand))) letGo = false;
    }
    return { ...tally, letGo };
  };

  return async (): Promise<Resealed> => {
    const total: Resealed = { resealed: 0, unopened: 0, done: false };
    // Two rounds in a row: a signal that is buried or redriven meanwhile may be missed by one.
    for (let rounds = 0, clean = 0; rounds < MOST_ROUNDS && !total.done; rounds += 1) {
      const { resealed, unopened, letGo } = await round();
      total.resealed += resealed;
      total.unopened = unopened;
      if (!letGo) break;
      clean = resealed === 0 ? clean + 1 : 0;
      total.done = clean === 2;
    }
    return total;
  };
};
