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
import { VERSION } from '../schemas/signalJob.ts';
import type { SeekTokens } from './registry.ts';

// A signal that is buried or redriven while we look is in the other queue by then, and may be missed.
const CLEAN_LOOKS = 2;
const LOOK_AGAIN_MS = 250;

/** In milliseconds: a signal that is being sent may take most of it, and so may a long queue. */
export const ERASE_TIMEOUT_MS = 60_000;

/** Signals of it are being sent, or come in, faster than they can be erased. */
export class SignalsInFlightError extends Error {
  override readonly name = 'SignalsInFlightError';

  constructor() {
    super('Signals of this application are still on their way');
  }
}

type Deps = {
  backend: Backend;
  tokens: Pick<SeekTokens, 'erase'>;
  deadLetters: Pick<DeadLetters, 'discard'>;
  pause?: (ms: number) => Promise<unknown>;
};

/**
 * Erases an application on request: its seek tokens, and every signal that names it or holds one of
 * them, whether it waits, was given up, or was delivered and is kept for lookups. What had not been
 * sent is skipped, with the reason. What is being sent at this moment is waited for. May be repeated
 * after any failure, by many at once, and does the rest.
 */
export const createEraseApplication = ({ backend, tokens, deadLetters, pause = wait }: Deps) => {
  const eraseSignal = async (signalId: string): Promise<boolean> => {
    const queue = await backend.queue(SIGNALS);
    const job = await queue.getJob(signalId);
    if (job === undefined) return false;
    const { applicationId, candidateApplicationProfileId, positionProfileIds, ...known } =
      toSignalRecord(job, 'skipped');
    const record = { ...known, reason: ERASED };
    const told = { record, dedupe: dedupeRecordOf(signalId, job.data, job.timestamp) };
    const finished = { jobId: signalId, finishedAt: job.finishedOn ?? 0 };
    const isRemoved =
      (await backend.jobs.removeWaiting(SIGNALS, signalId, told)) ||
      (await backend.jobs.removeFinished(SIGNALS, 'failed', finished, told));
    if (isRemoved) await backend.bookkeeping.recordOutcomes([{ signalId, outcome: 'skipped' }]);
    return isRemoved || backend.jobs.removeFinished(SIGNALS, 'completed', finished);
  };

  const eraseLetter = async (signalId: string): Promise<boolean> =>
    (await deadLetters.discard(signalId, ERASED)) === 'discarded';

  /** How many there were, and how many of them could be erased at once. */
  const look = async (isOfIt: Match) => {
    const seen = { found: 0, erased: 0 };
    const note = async (erasing: Promise<boolean>): Promise<void> => {
      seen.found += 1;
      if (await erasing) seen.erased += 1;
    };
    for await (const { id, text } of backend.jobs.every(SIGNALS)) {
      if (isOfIt.perhaps(text) && isOfIt.surely(parseJson(text))) await note(eraseSignal(id));
    }
    for await (const { text } of backend.jobs.every(DEAD_LETTERS)) {
      const deadLetter = isOfIt.perhaps(text) ? parseDeadLetter(parseJson(text)) : undefined;
      if (deadLetter && isOfIt.surely(deadLetter.job)) await note(eraseLetter(deadLetter.signalId));
    }
    return seen;
  };

  /** Resolves with how many signals were erased with it. */
  return async (id: string): Promise<number> => {
    // A caller's slip, such as undefined, would match every signal that names no application.
    const applicationId = ApplicationIdSchema.parse(id);
    const since = performance.now();
    // Before the caller gives up, who is to hear why.
    const deadline = since + ERASE_TIMEOUT_MS - 1_000;
    const fingerprints = new Set(await tokens.erase(applicationId));
    const isOfIt = createMatch(applicationId, fingerprints);
    let erased = 0;
    for (let clean = 0; clean < CLEAN_LOOKS; ) {
      const seen = await look(isOfIt);
      erased += seen.erased;
      clean = seen.found === 0 ? clean + 1 : 0;
      if (performance.now() > deadline) throw new SignalsInFlightError();
      if (seen.erased < seen.found) await pause(LOOK_AGAIN_MS);
    }
    await backend.index.forget({ kind: 'application', value: applicationId });
    await backend.replicated(since);
    return erased;
  };
};

export type EraseApplication = ReturnType<typeof createEraseApplication>;

type Match = ReturnType<typeof createMatch>;

const createMatch = (applicationId: string, fingerprints: ReadonlySet<string>) => {
  // Of a token in the clear only its fingerprint can tell.
  const marks = [JSON.stringify(applicationId).slice(1, -1), '"token"', ...fingerprints];

  return {
    /** Spares most of a long queue the reading. */
    perhaps: (text: string): boolean => marks.some((mark) => text.includes(mark)),
    /** Whatever version wrote it: no more is looked at than where all of them have kept these. */
    surely: (stored: unknown): boolean => {
      const data = upgradeSignalJob(stored, VERSION);
      if (!isObject(data) || !isObject(data.signal)) return false;
      const { signal, encryptedToken } = data;
      if (signal.applicationId === applicationId) return true;
      if (fingerprints.size === 0) return false;
      const held = isObject(encryptedToken) ? [encryptedToken.fingerprint] : [];
      if (typeof signal.token === 'string') held.push(fingerprintOf(signal.token));
      return held.some((one) => typeof one === 'string' && fingerprints.has(one));
    },
  };
};
