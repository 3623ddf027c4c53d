import { setTimeout as wait } from 'node:timers/promises';
import { type Backend, DEAD_LETTERS, type QueueName, SIGNALS } from '../queue/backend.ts';
import { parseDeadLetter } from '../queue/readDeadLetters.ts';
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
  tokens: Pick<SeekTokens, 'reencrypt'>;
  cipher: Pick<TokenCipher, 'renew'>;
  pause?: (ms: number) => Promise<unknown>;
};

export type ReencryptResult = {
  reencrypted: number;
  /** No key that we were given opens them. They stay as they are. */
  undecryptable: number;
  /** Whether a last round found nothing left to do, and nobody with old data in hand. */
  done: boolean;
};

/**
 * Seals every token that the queue keeps with the first key: in the registry, in signals, in dead
 * dead letters. Once that is done, and no producer seals with another key any more, only those that could
 * not be opened need one.
 */
export const createReencrypt = ({ backend, tokens, cipher, pause = wait }: Deps) => {
  const renew = (data: unknown, signalId: string) => {
    const job = SignalJobSchema.safeParse(data).data;
    if (job === undefined) return judgeUnreadable(JSON.stringify(data) ?? '');
    const { token, ...signal } = job.signal;
    const { ciphertext, fingerprint = fingerprintOf(token ?? '') } = job.encryptedToken ?? {};
    const renewal = cipher.renew({ token, ciphertext }, signalId);
    if (renewal.kind !== 'reencrypted') return renewal;
    const renewed = {
      ...job,
      signal,
      encryptedToken: { ciphertext: renewal.ciphertext, fingerprint },
    };
    return { ...renewal, data: { ...renewed, version: VERSION } };
  };

  /** Of a version that came after this one: what it holds can be seen, but not put back. */
  const judgeUnreadable = (text: string) => {
    const isOther = (ciphertext: string) =>
      cipher.renew({ ciphertext }, '').kind === 'undecryptable';
    return { kind: (text.match(SEALED) ?? []).some(isOther) ? 'undecryptable' : 'kept' } as const;
  };

  const renewLetter = (data: unknown) => {
    const deadLetter = parseDeadLetter(data);
    if (deadLetter === undefined) return judgeUnreadable(JSON.stringify(data) ?? '');
    const renewal = renew(deadLetter.job, deadLetter.failedJob.jobId);
    return 'data' in renewal ? { ...renewal, data: { ...deadLetter, job: renewal.data } } : renewal;
  };

  const isInHand = async (name: QueueName, id: string): Promise<boolean> =>
    (await (await backend.queue(name)).getJobState(id)) === 'active';

  /** Resolves with the ids of those that somebody had in hand: read as they were, written back so. */
  const resealJobs = async (name: QueueName, tally: Tally): Promise<string[]> => {
    const inFlight: string[] = [];
    for await (const { id, text } of backend.jobs.every(name)) {
      const data = parseJson(text);
      const renewal = name === SIGNALS ? renew(data, id) : renewLetter(data);
      tally[renewal.kind] += 1;
      if (!('data' in renewal)) continue;
      await backend.jobs.swap(name, { id, text }, renewal.data);
      if (await isInHand(name, id)) inFlight.push(id);
    }
    return inFlight;
  };

  /** Says whether they are. */
  const waitUntilLetGo = async (name: QueueName, inFlight: string[]): Promise<boolean> => {
    for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
      const still = await Promise.all(inFlight.map((id) => isInHand(name, id)));
      if (!still.includes(true)) return true;
      await pause(LOOK_AGAIN_MS);
    }
    return false;
  };

  const resealApplications = async (tally: Tally): Promise<void> => {
    const reencrypt = async (applicationId: string): Promise<void> => {
      const one = await tokens.reencrypt(applicationId).catch((err: unknown) => {
        if (!(err instanceof UnreadableTokensError)) throw err;
        return { reencrypted: 0, undecryptable: 1 };
      });
      tally.reencrypted += one.reencrypted;
      tally.undecryptable += one.undecryptable;
    };
    let some: string[] = [];
    for await (const applicationId of backend.tokens.applications()) {
      some.push(applicationId);
      if (some.length < AT_ONCE) continue;
      await Promise.all(some.map(reencrypt));
      some = [];
    }
    await Promise.all(some.map(reencrypt));
  };

  const round = async () => {
    const tally = newTally();
    await resealApplications(tally);
    let letGo = true;
    for (const name of [SIGNALS, DEAD_LETTERS] as const) {
      const inFlight = await resealJobs(name, tally);
      if (!(await waitUntilLetGo(name, inFlight))) letGo = false;
    }
    return { ...tally, letGo };
  };

  return async (): Promise<ReencryptResult> => {
    const total: ReencryptResult = { reencrypted: 0, undecryptable: 0, done: false };
    // Two rounds in a row: a signal that is buried or redriven meanwhile may be missed by one.
    for (let rounds = 0, clean = 0; rounds < MOST_ROUNDS && !total.done; rounds += 1) {
      const { reencrypted, undecryptable, letGo } = await round();
      total.reencrypted += reencrypted;
      total.undecryptable = undecryptable;
      if (!letGo) break;
      clean = reencrypted === 0 ? clean + 1 : 0;
      total.done = clean === 2;
    }
    return total;
  };
};
