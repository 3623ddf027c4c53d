import { type Backend, DEAD_LETTERS } from '../queue/backend.ts';
import { letterJobOptions } from '../queue/bullWorker.ts';
import type { SignalLives } from '../queue/lookup.ts';
import { eachLetterOnce, readLetter } from '../queue/readDeadLetters.ts';
import { traitsOf } from '../queue/searchIndex.ts';
import { burialId, type DeadLetter, DeadLetterSchema } from '../schemas/deadLetter.ts';
import { nameProblems, toInvalidFields } from '../schemas/invalidFields.ts';
import { isObject } from '../schemas/json.ts';
import { mayComeBack } from './deadLetters.ts';
import { applicationOf, type LetterFilter, matches } from './filter.ts';
import { isLetterId, letterIdOf } from './moveToDeadLetters.ts';

/** What became of the lines of a file. */
export type Imported = {
  imported: number;
  /** Left out: their signal lies in a queue, was settled, or is of an application that was erased. */
  known: number;
  /** By their numbers, from 1, among the lines that were given. */
  bad: { line: number; message: string }[];
};

type Deps = {
  backend: Backend;
  lives: Pick<SignalLives, 'find'>;
  /** Whether the application was erased, and no token recorded for it since. */
  isErased: (applicationId: string) => Promise<boolean>;
};

/**
 * Takes letters out of a file back. A worker fails each anew, with the reason that it had. May be
 * repeated, by many at once: what is known is left out.
 */
export const createImportLetters = ({ backend, lives, isErased }: Deps) => {
  const isOfErased = async (letter: DeadLetter): Promise<boolean> => {
    const applicationId = applicationOf(letter);
    return typeof applicationId === 'string' && (await isErased(applicationId));
  };

  /** Not if its signal is known, unless all that is known is that it was discarded, and it may come back. */
  const mayCome = async (letter: DeadLetter): Promise<boolean> => {
    const { signalId } = letter;
    const life = await lives.find(signalId);
    if (life === undefined && (await backend.ledger.recall(signalId)) !== undefined) return false;
    const comesBack = life === undefined || (life.state === 'skipped' && mayComeBack(life.reason));
    return comesBack && !(await isOfErased(letter));
  };

  const bringBack = async (letter: DeadLetter): Promise<'imported' | 'known'> => {
    const { signalId, typeCode } = letter;
    if (!(await mayCome(letter))) return 'known';
    const letters = await backend.queue(DEAD_LETTERS);
    // The record of a discard stays, and is outweighed until the signal is settled anew: it could be that
    // of somebody who discards the letter as it comes back, and then there is nothing else left to tell of it.
    await letters.add(typeCode, letter, letterJobOptions(signalId));
    const stored = await letters.getJob(signalId);
    const held = readLetter(stored);
    // Ignored where one of that id is there already, of whatever version.
    if (stored !== undefined && (held === undefined || burialId(held) !== burialId(letter))) {
      return 'known';
    }
    const signal = isObject(letter.job) ? letter.job.signal : undefined;
    await backend.index
      .note(traitsOf(signal).map((trait) => ({ ...trait, signalId })))
      .catch(() => {});
    return 'imported';
  };

  /** Resolves once all that it counts is as safe as an accepted signal; may be repeated otherwise. */
  return async (lines: readonly Uint8Array[]): Promise<Imported> => {
    const since = performance.now();
    const outcome: Imported = { imported: 0, known: 0, bad: [] };
    for (const [index, bytes] of lines.entries()) {
      const read = readLetterLine(bytes);
      if (read === undefined) continue;
      if ('problem' in read) outcome.bad.push({ line: index + 1, message: read.problem });
      else outcome[await bringBack(read.letter)] += 1;
    }
    // For those that were known too: the answer promises as much.
    if (outcome.imported + outcome.known > 0) await backend.replicated(since);
    return outcome;
  };
};

export type ImportLetters = ReturnType<typeof createImportLetters>;

/**
 * Letters as they lie there, each with its signal, and so with its token: sealed if it is. Those that
 * a newer version wrote are left out, as they are from every list.
 */
export const createExportLetters = (backend: Pick<Backend, 'queue'>) =>
  async function* ({
    limit = Number.POSITIVE_INFINITY,
    ...filter
  }: LetterFilter): AsyncGenerator<DeadLetter> {
    let taken = 0;
    for await (const { letter } of eachLetterOnce(await backend.queue(DEAD_LETTERS))) {
      if (!matches(letter, filter)) continue;
      if (taken === limit) return;
      taken += 1;
      yield letter;
    }
  };

export type ExportLetters = ReturnType<typeof createExportLetters>;

export type LetterLine = { letter: DeadLetter } | { problem: string };

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A letter as it is written into a file: what is asked of it at present goes its own way. */
export const writeLetterLine = ({ redriveBy, redriveRequested, ...letter }: DeadLetter): string =>
  `${JSON.stringify(letter)}\n`;

/** A line of such a file; what is wrong is named, and nothing repeated. `undefined`: it is empty. */
export const readLetterLine = (bytes: Uint8Array): LetterLine | undefined => {
  const read = parse(bytes);
  if (read === undefined || 'problem' in read) return read;
  const parsed = DeadLetterSchema.safeParse(read.value, { reportInput: true });
  if (!parsed.success) return { problem: nameProblems(toInvalidFields(parsed.error)) };
  const { redriveBy, redriveRequested, ...letter } = parsed.data;
  const { signalId, burial } = letter;
  // By its own name alone a signal is found, and its sealed token opened.
  if (signalId !== letterIdOf(burial.jobId) || !isLetterId(signalId)) {
    return { problem: '/signalId: Is not the name of a letter of /burial/jobId' };
  }
  return { letter };
};

const parse = (bytes: Uint8Array): { value: unknown } | { problem: string } | undefined => {
  try {
    const text = decoder.decode(bytes).trim();
    return text === '' ? undefined : { value: JSON.parse(text, refuseUnstorable) };
  } catch (err) {
    if (err instanceof UnstorableError) return { problem: err.message };
    // Not in the parser's words, which quote the line. What is nested too deep is no letter either.
    return { problem: 'Is not JSON in UTF-8' };
  }
};

class UnstorableError extends Error {
  override readonly name = 'UnstorableError';
}

/** One such text would keep everything behind it from being stored. */
const refuseUnstorable = (key: string, value: unknown): unknown => {
  for (const text of [key, value]) {
    if (typeof text !== 'string') continue;
    if (text.includes('\0')) throw new UnstorableError('Has a NUL character in it');
    if (!text.isWellFormed()) throw new UnstorableError('Is not well-formed Unicode');
  }
  return value;
};
