import { burialId, type DeadLetter } from '../schemas/deadLetter.ts';
import { isObject } from '../schemas/isObject.ts';
import { type Backend, DEAD_LETTERS } from './backend.ts';
import { mayComeBack } from './discardReason.ts';
import { letterJobOptions } from './jobOptions.ts';
import { applicationOf } from './letterFilter.ts';
import { readLetter } from './readLetter.ts';
import { readLetterLine } from './readLetterLine.ts';
import { traitsOf } from './signalIndex.ts';
import type { SignalLives } from './signalLives.ts';

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
