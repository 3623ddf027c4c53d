import { setTimeout as wait } from 'node:timers/promises';
import { type Backend, DEAD_LETTERS, type QueueName, SIGNALS } from '../queue/backend.ts';
import { parseDeadLetter } from '../queue/readDeadLetters.ts';
import {
  fingerprintOf,
  newRenewalCounts,
  type RenewalCounts,
  type TokenCipher,
} from '../runtime/tokenCipher.ts';
import { parseJson } from '../schemas/json.ts';
import { SIGNAL_JOB_VERSION, SignalJobSchema } from '../schemas/signalJob.ts';
import type { SeekTokens } from './registry.ts';
import { UnreadableTokensError } from './tokenRecords.ts';

const MAX_CONCURRENT_APPLICATIONS = 50;
// Most signals are in flight for less than a second. SEEK's response time bounds nearly all of them.
const STATE_CHECK_INTERVAL_MS = 250;
const MAX_STATE_CHECKS = 240;
const MAX_ROUNDS = 10;
// One round may miss a signal that moves to the dead letters, or back, while the round reads.
const REQUIRED_CLEAN_ROUNDS = 2;
const CIPHERTEXT = /v1\.[0-9a-f]{8}\.[\w-]+/g;

type Deps = {
  backend: Pick<Backend, 'queue' | 'tokens' | 'jobs'>;
  tokens: Pick<SeekTokens, 'reencrypt'>;
  cipher: Pick<TokenCipher, 'renew'>;
  pause?: (ms: number) => Promise<unknown>;
};

export type ReencryptResult = {
  reencrypted: number;
  /** How many tokens none of the given keys decrypts. They stay as they are. */
  undecryptable: number;
  /** Whether the last rounds found nothing to re-encrypt and no worker still holds old data. */
  done: boolean;
};

/**
 * Encrypts every stored token with the first key: in the registry, in signals and in dead letters. When
 * it is done, and no producer encrypts with another key, only undecryptable tokens need the other keys.
 */
export const createReencrypt = ({ backend, tokens, cipher, pause = wait }: Deps) => {
  const reencryptJobs = createReencryptJobs({ backend, cipher, pause });

  const runRound = async () => {
    const counts = newRenewalCounts();
    await reencryptApplications(backend, tokens, counts);
    let isReleased = true;
    for (const name of [SIGNALS, DEAD_LETTERS] as const) {
      if (!(await reencryptJobs(name, counts))) isReleased = false;
    }
    return { ...counts, isReleased };
  };

  return async (): Promise<ReencryptResult> => {
    const total: ReencryptResult = { reencrypted: 0, undecryptable: 0, done: false };
    for (let rounds = 0, cleanRounds = 0; rounds < MAX_ROUNDS && !total.done; rounds += 1) {
      const { reencrypted, undecryptable, isReleased } = await runRound();
      total.reencrypted += reencrypted;
      total.undecryptable = undecryptable;
      if (!isReleased) break;
      cleanRounds = reencrypted === 0 ? cleanRounds + 1 : 0;
      total.done = cleanRounds === REQUIRED_CLEAN_ROUNDS;
    }
    return total;
  };
};

type JobDeps = Pick<Deps, 'backend' | 'cipher'> & { pause: (ms: number) => Promise<unknown> };

/**
 * Re-encrypts the tokens in the jobs of one queue. Resolves with `false` if a worker still holds one of
 * the jobs: the worker may write back the data that it read before.
 */
const createReencryptJobs = ({ backend, cipher, pause }: JobDeps) => {
  const { renewSignal, renewDeadLetter } = createRenewals(cipher);

  const isInFlight = async (name: QueueName, id: string): Promise<boolean> =>
    (await (await backend.queue(name)).getJobState(id)) === 'active';

  const waitUntilReleased = async (name: QueueName, inFlight: string[]): Promise<boolean> => {
    for (let checks = 0; checks < MAX_STATE_CHECKS; checks += 1) {
      const active = await Promise.all(inFlight.map((id) => isInFlight(name, id)));
      if (!active.includes(true)) return true;
      await pause(STATE_CHECK_INTERVAL_MS);
    }
    return false;
  };

  return async (name: QueueName, counts: RenewalCounts): Promise<boolean> => {
    const inFlight: string[] = [];
    for await (const { id, text } of backend.jobs.scan(name)) {
      const data = parseJson(text);
      const renewal = name === SIGNALS ? renewSignal(data, id) : renewDeadLetter(data);
      counts[renewal.kind] += 1;
      if (!('data' in renewal)) continue;
      await backend.jobs.replaceData(name, { id, text }, renewal.data);
      if (await isInFlight(name, id)) inFlight.push(id);
    }
    return waitUntilReleased(name, inFlight);
  };
};

const createRenewals = (cipher: Pick<TokenCipher, 'renew'>) => {
  /** A job of a newer version: its ciphertexts can be found, but not replaced. */
  const checkUnreadable = (data: unknown) => {
    const text = JSON.stringify(data) ?? '';
    const isUndecryptable = (ciphertext: string) =>
      cipher.renew({ ciphertext }, '').kind === 'undecryptable';
    const hasOtherKey = (text.match(CIPHERTEXT) ?? []).some(isUndecryptable);
    return { kind: hasOtherKey ? 'undecryptable' : 'unchanged' } as const;
  };

  const renewSignal = (data: unknown, signalId: string) => {
    const job = SignalJobSchema.safeParse(data).data;
    if (job === undefined) return checkUnreadable(data);
    const { token, ...signal } = job.signal;
    const { ciphertext, fingerprint = fingerprintOf(token ?? '') } = job.encryptedToken ?? {};
    const renewal = cipher.renew({ token, ciphertext }, signalId);
    if (renewal.kind !== 'reencrypted') return renewal;
    const encryptedToken = { ciphertext: renewal.ciphertext, fingerprint };
    return { ...renewal, data: { ...job, signal, encryptedToken, version: SIGNAL_JOB_VERSION } };
  };

  const renewDeadLetter = (data: unknown) => {
    const deadLetter = parseDeadLetter(data);
    if (deadLetter === undefined) return checkUnreadable(data);
    const renewal = renewSignal(deadLetter.job, deadLetter.failedJob.jobId);
    return 'data' in renewal ? { ...renewal, data: { ...deadLetter, job: renewal.data } } : renewal;
  };

  return { renewSignal, renewDeadLetter };
};

const reencryptApplications = async (
  backend: Pick<Backend, 'tokens'>,
  tokens: Pick<SeekTokens, 'reencrypt'>,
  counts: RenewalCounts,
): Promise<void> => {
  const reencryptOne = async (applicationId: string): Promise<void> => {
    const one = await tokens.reencrypt(applicationId).catch((err: unknown) => {
      if (!(err instanceof UnreadableTokensError)) throw err;
      return { reencrypted: 0, undecryptable: 1 };
    });
    counts.reencrypted += one.reencrypted;
    counts.undecryptable += one.undecryptable;
  };
  let applicationIds: string[] = [];
  for await (const applicationId of backend.tokens.applications()) {
    applicationIds.push(applicationId);
    if (applicationIds.length < MAX_CONCURRENT_APPLICATIONS) continue;
    await Promise.all(applicationIds.map(reencryptOne));
    applicationIds = [];
  }
  await Promise.all(applicationIds.map(reencryptOne));
};
