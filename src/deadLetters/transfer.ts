import { type Backend, DEAD_LETTERS } from '../queue/backend.ts';
import { deadLetterJobOptions } from '../queue/bullWorker.ts';
import type { SignalLookup } from '../queue/lookup.ts';
import { allDeadLettersOnce, readDeadLetter } from '../queue/readDeadLetters.ts';
import { searchKeysOf } from '../queue/searchIndex.ts';
import { type DeadLetter, DeadLetterSchema, failureId } from '../schemas/deadLetter.ts';
import { nameProblems, toInvalidFields } from '../schemas/invalidFields.ts';
import { isObject } from '../schemas/json.ts';
import { canReimport } from './deadLetters.ts';
import { applicationOf, type DeadLetterFilter, matches } from './filter.ts';
import { deadLetterIdOf, isDeadLetterId } from './moveToDeadLetters.ts';

/** What became of the lines of a file. */
export type Imported = {
  imported: number;
  /** Left out: their signal lies in a queue, was settled, or is of an application that was erased. */
  skipped: number;
  /** By their numbers, from 1, among the lines that were given. */
  invalid: { line: number; message: string }[];
};

type Deps = {
  backend: Backend;
  lookup: Pick<SignalLookup, 'find'>;
  /** Whether the application was erased, and no token recorded for it since. */
  isErased: (applicationId: string) => Promise<boolean>;
};

/**
 * Takes dead letters out of a file back. A worker fails each anew, with the reason that it had. May be
 * repeated, by many at once: what is known is left out.
 */
export const createImportDeadLetters = ({ backend, lookup, isErased }: Deps) => {
  const isOfErased = async (deadLetter: DeadLetter): Promise<boolean> => {
    const applicationId = applicationOf(deadLetter);
    return typeof applicationId === 'string' && (await isErased(applicationId));
  };

  /** Not if its signal is known, unless all that is known is that it was discarded, and it may come back. */
  const mayCome = async (deadLetter: DeadLetter): Promise<boolean> => {
    const { signalId } = deadLetter;
    const record = await lookup.find(signalId);
    if (
      record === undefined &&
      (await backend.bookkeeping.findDedupeRecord(signalId)) !== undefined
    )
      return false;
    const comesBack =
      record === undefined || (record.state === 'skipped' && canReimport(record.reason));
    return comesBack && !(await isOfErased(deadLetter));
  };

  const bringBack = async (deadLetter: DeadLetter): Promise<'imported' | 'skipped'> => {
    const { signalId, typeCode } = deadLetter;
    if (!(await mayCome(deadLetter))) return 'skipped';
    const deadLetters = await backend.queue(DEAD_LETTERS);
    // The record of a discard stays, and is outweighed until the signal is settled anew: it could be that
    // of somebody who discards the dead letter as it comes back, and then there is nothing else left to tell of it.
    await deadLetters.add(typeCode, deadLetter, deadLetterJobOptions(signalId));
    const stored = await deadLetters.getJob(signalId);
    const held = readDeadLetter(stored);
    // Ignored where one of that id is there already, of whatever version.
    if (stored !== undefined && (held === undefined || failureId(held) !== failureId(deadLetter))) {
      return 'skipped';
    }
    const signal = isObject(deadLetter.job) ? deadLetter.job.signal : undefined;
    await backend.index
      .note(searchKeysOf(signal).map((searchKey) => ({ ...searchKey, signalId })))
      .catch(() => {});
    return 'imported';
  };

  /** Resolves once all that it counts is as safe as an accepted signal; may be repeated otherwise. */
  return async (lines: readonly Uint8Array[]): Promise<Imported> => {
    const since = performance.now();
    const outcome: Imported = { imported: 0, skipped: 0, invalid: [] };
    for (const [index, bytes] of lines.entries()) {
      const read = readExportLine(bytes);
      if (read === undefined) continue;
      if ('problem' in read) outcome.invalid.push({ line: index + 1, message: read.problem });
      else outcome[await bringBack(read.deadLetter)] += 1;
    }
    // For those that were known too: the answer promises as much.
    if (outcome.imported + outcome.skipped > 0) await backend.replicated(since);
    return outcome;
  };
};

export type ImportDeadLetters = ReturnType<typeof createImportDeadLetters>;

/**
 * Dead letters as they lie there, each with its signal, and so with its token: sealed if it is. Those that
 * a newer version wrote are left out, as they are from every list.
 */
export const createExportDeadLetters = (backend: Pick<Backend, 'queue'>) =>
  async function* ({
    limit = Number.POSITIVE_INFINITY,
    ...filter
  }: DeadLetterFilter): AsyncGenerator<DeadLetter> {
    let taken = 0;
    for await (const { deadLetter } of allDeadLettersOnce(await backend.queue(DEAD_LETTERS))) {
      if (!matches(deadLetter, filter)) continue;
      if (taken === limit) return;
      taken += 1;
      yield deadLetter;
    }
  };

export type ExportDeadLetters = ReturnType<typeof createExportDeadLetters>;

export type ExportLine = { deadLetter: DeadLetter } | { problem: string };

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A dead letter as it is written into a file: what is asked of it at present goes its own way. */
export const writeExportLine = ({
  redriveBy,
  redriveRequested,
  ...deadLetter
}: DeadLetter): string => `${JSON.stringify(deadLetter)}\n`;

/** A line of such a file; what is wrong is named, and nothing repeated. `undefined`: it is empty. */
export const readExportLine = (bytes: Uint8Array): ExportLine | undefined => {
  const read = parse(bytes);
  if (read === undefined || 'problem' in read) return read;
  const parsed = DeadLetterSchema.safeParse(read.value, { reportInput: true });
  if (!parsed.success) return { problem: nameProblems(toInvalidFields(parsed.error)) };
  const { redriveBy, redriveRequested, ...deadLetter } = parsed.data;
  const { signalId, failedJob } = deadLetter;
  // By its own name alone a signal is found, and its sealed token opened.
  if (signalId !== deadLetterIdOf(failedJob.jobId) || !isDeadLetterId(signalId)) {
    return { problem: '/signalId: Is not the name of a letter of /burial/jobId' };
  }
  return { deadLetter };
};

const parse = (bytes: Uint8Array): { value: unknown } | { problem: string } | undefined => {
  try {
    const text = decoder.decode(bytes).trim();
    return text === '' ? undefined : { value: JSON.parse(text, refuseUnstorable) };
  } catch (err) {
    if (err instanceof UnstorableError) return { problem: err.message };
    // Not in the parser's words, which quote the line. What is nested too deep is no dead letter either.
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
