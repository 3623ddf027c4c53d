import { setTimeout as wait } from 'node:timers/promises';
import type { DeadLetters } from '../deadLetters/deadLetters.ts';
import { ERASED } from '../deadLetters/deadLetters.ts';
import { type Backend, DEAD_LETTERS, SIGNALS } from '../queue/backend.ts';
import { dedupeRecordOf } from '../queue/dedupeWindow.ts';
import { toSignalRecord } from '../queue/lookup.ts';
import { parseDeadLetter } from '../queue/readDeadLetters.ts';
import { fingerprintOf } from '../runtime/tokenCipher.ts';
import { isObject, parseJson } from '../schemas/json.ts';
import { upgradeSignalJob } from '../schemas/olderNames.ts';
import { ApplicationIdSchema } from '../schemas/seekToken.ts';
import { SIGNAL_JOB_VERSION } from '../schemas/signalJob.ts';
import type { SeekTokens } from './registry.ts';

// One pass may miss a signal that moves to the dead letters, or back, while the pass reads.
const REQUIRED_CLEAN_PASSES = 2;
const PASS_INTERVAL_MS = 250;

/** In milliseconds. A signal that is in flight may take most of it, and so may a long queue. */
export const ERASE_TIMEOUT_MS = 60_000;
// The erasure gives up before its caller does, so that the caller receives the reason.
const ANSWER_RESERVE_MS = 1_000;

/** Signals of the application stay in flight, or arrive faster than they can be erased. */
export class SignalsInFlightError extends Error {
  override readonly name = 'SignalsInFlightError';

  constructor() {
    super('Signals of this application are still in flight. Erase the application again.');
  }
}

type Deps = {
  backend: Backend;
  tokens: Pick<SeekTokens, 'erase'>;
  deadLetters: Pick<DeadLetters, 'discard'>;
  pause?: (ms: number) => Promise<unknown>;
};

/**
 * Erases an application on request: its seek tokens, and every signal that names it or holds one of the
 * tokens. That includes waiting signals, dead letters, and delivered signals that are kept for lookups.
 * A signal that was not sent yet is skipped, and its record states the reason. The erasure waits for
 * signals that are in flight. After a failure, repeat it; several callers may run it at once.
 */
export const createEraseApplication = ({ backend, tokens, deadLetters, pause = wait }: Deps) => {
  const runPass = createPass({ backend, deadLetters });

  /** Resolves with the number of erased signals. */
  return async (id: string): Promise<number> => {
    // An id such as `undefined`, passed by mistake, would match every signal without an application.
    const applicationId = ApplicationIdSchema.parse(id);
    const since = performance.now();
    const deadline = since + ERASE_TIMEOUT_MS - ANSWER_RESERVE_MS;
    const fingerprints = new Set(await tokens.erase(applicationId));
    const match = createMatch(applicationId, fingerprints);
    let erased = 0;
    for (let cleanPasses = 0; cleanPasses < REQUIRED_CLEAN_PASSES; ) {
      const pass = await runPass(match);
      erased += pass.erased;
      cleanPasses = pass.found === 0 ? cleanPasses + 1 : 0;
      if (performance.now() > deadline) throw new SignalsInFlightError();
      if (pass.erased < pass.found) await pause(PASS_INTERVAL_MS);
    }
    await backend.index.removeKey({ kind: 'application', value: applicationId });
    await backend.waitForReplicas(since);
    return erased;
  };
};

export type EraseApplication = ReturnType<typeof createEraseApplication>;

/** One pass over both queues. It returns how many matching signals it found, and how many it erased. */
const createPass = ({ backend, deadLetters }: Pick<Deps, 'backend' | 'deadLetters'>) => {
  const eraseSignal = createEraseSignal(backend);

  const eraseDeadLetter = async (signalId: string): Promise<boolean> =>
    (await deadLetters.discard(signalId, ERASED)) === 'discarded';

  return async (match: Match) => {
    const pass = { found: 0, erased: 0 };
    const count = async (erasing: Promise<boolean>): Promise<void> => {
      pass.found += 1;
      if (await erasing) pass.erased += 1;
    };
    for await (const { id, text } of backend.jobs.scan(SIGNALS)) {
      if (match.mayMatch(text) && match.matches(parseJson(text))) await count(eraseSignal(id));
    }
    for await (const { text } of backend.jobs.scan(DEAD_LETTERS)) {
      const deadLetter = match.mayMatch(text) ? parseDeadLetter(parseJson(text)) : undefined;
      if (deadLetter && match.matches(deadLetter.job)) {
        await count(eraseDeadLetter(deadLetter.signalId));
      }
    }
    return pass;
  };
};

const createEraseSignal =
  (backend: Backend) =>
  /** Resolves with `false` for a signal that is in flight or gone. */
  async (signalId: string): Promise<boolean> => {
    const queue = await backend.queue(SIGNALS);
    const job = await queue.getJob(signalId);
    if (job === undefined) return false;
    const {
      applicationId,
      candidateApplicationProfileId,
      positionId,
      positionProfileIds,
      ...anonymous
    } = toSignalRecord(job, 'skipped');
    const record = { ...anonymous, reason: ERASED };
    const skip = { record, dedupe: dedupeRecordOf(signalId, job.data, job.timestamp) };
    const finished = { jobId: signalId, finishedAt: job.finishedOn ?? 0 };
    const isSkipped =
      (await backend.jobs.removeWaiting(SIGNALS, signalId, skip)) ||
      (await backend.jobs.removeFinished(SIGNALS, 'failed', finished, skip));
    if (isSkipped) await backend.bookkeeping.recordOutcomes([{ signalId, outcome: 'skipped' }]);
    return isSkipped || backend.jobs.removeFinished(SIGNALS, 'completed', finished);
  };

type Match = ReturnType<typeof createMatch>;

const createMatch = (applicationId: string, fingerprints: ReadonlySet<string>) => {
  // An identifier that is stored as it is has to be parsed before its fingerprint can be compared.
  const needles = [
    JSON.stringify(applicationId).slice(1, -1),
    '"token"',
    '"candidateApplicationProfileId"',
    ...fingerprints,
  ];

  return {
    /** A fast check of the stored text, so that most jobs of a long queue need not be parsed. */
    mayMatch: (text: string): boolean => needles.some((needle) => text.includes(needle)),
    /** Works for jobs of every version: it reads only fields that no version has changed. */
    matches: (stored: unknown): boolean => {
      const data = upgradeSignalJob(stored, SIGNAL_JOB_VERSION);
      if (!isObject(data) || !isObject(data.signal)) return false;
      const { signal, encryptedToken } = data;
      if (signal.applicationId === applicationId) return true;
      if (fingerprints.size === 0) return false;
      const held = isObject(encryptedToken) ? [encryptedToken.fingerprint] : [];
      for (const identifier of [signal.token, signal.candidateApplicationProfileId]) {
        if (typeof identifier === 'string') held.push(fingerprintOf(identifier));
      }
      return held.some((one) => typeof one === 'string' && fingerprints.has(one));
    },
  };
};
