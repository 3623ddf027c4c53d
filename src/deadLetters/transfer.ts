import { type Backend, DEAD_LETTERS } from '../queue/backend.ts';
import { deadLetterJobOptions } from '../queue/jobOptions.ts';
import type { SignalLookup } from '../queue/lookup.ts';
import { readDeadLetter, scanDeadLetters } from '../queue/readDeadLetters.ts';
import { searchKeysOf } from '../queue/searchIndex.ts';
import { type DeadLetter, DeadLetterSchema, failureId } from '../schemas/deadLetter.ts';
import { nameProblems, toInvalidFields } from '../schemas/invalidFields.ts';
import { isObject } from '../schemas/json.ts';
import { canReimport } from './deadLetters.ts';
import { applicationIdOf, type DeadLetterFilter, matches } from './filter.ts';
import { deadLetterIdOf, isDeadLetterId } from './moveToDeadLetters.ts';

/** The result of an import. */
export type ImportResult = {
  imported: number;
  /** The signal is in a queue, has an outcome already, or belongs to an erased application. */
  skipped: number;
  /** The lines that hold no valid dead letter, by line number. The first line is 1. */
  invalid: { line: number; message: string }[];
};

type Deps = {
  backend: Backend;
  lookup: Pick<SignalLookup, 'find'>;
  /** Whether the application was erased and no token was recorded for it since. */
  isErased: (applicationId: string) => Promise<boolean>;
};

/**
 * Adds dead letters from an exported file. A worker then fails each of them with its original reason.
 * Several callers may import the same file at once, and again: signals that are known are skipped.
 */
export const createImportDeadLetters = ({ backend, lookup, isErased }: Deps) => {
  const importOne = createImportOne({ backend, lookup, isErased });

  /** Resolves once the imported dead letters are as durable as accepted signals. Repeat it on failure. */
  return async (lines: readonly Uint8Array[]): Promise<ImportResult> => {
    const since = performance.now();
    const outcome: ImportResult = { imported: 0, skipped: 0, invalid: [] };
    for (const [index, bytes] of lines.entries()) {
      const read = readExportLine(bytes);
      if (read === undefined) continue;
      if ('problem' in read) outcome.invalid.push({ line: index + 1, message: read.problem });
      else outcome[await importOne(read.deadLetter)] += 1;
    }
    // Skipped signals count too: the answer promises that they are durable as well.
    if (outcome.imported + outcome.skipped > 0) await backend.waitForReplicas(since);
    return outcome;
  };
};

export type ImportDeadLetters = ReturnType<typeof createImportDeadLetters>;

const createImportOne = ({ backend, lookup, isErased }: Deps) => {
  const isApplicationErased = async (deadLetter: DeadLetter): Promise<boolean> => {
    const applicationId = applicationIdOf(deadLetter);
    return typeof applicationId === 'string' && (await isErased(applicationId));
  };

  /** True for an unknown signal, and for one that an operator discarded. */
  const canImport = async (deadLetter: DeadLetter): Promise<boolean> => {
    const { signalId } = deadLetter;
    const record = await lookup.find(signalId);
    const hasOnlyDedupeRecord =
      record === undefined && (await backend.bookkeeping.findDedupeRecord(signalId)) !== undefined;
    if (hasOnlyDedupeRecord) return false;
    const isAbsent =
      record === undefined || (record.state === 'skipped' && canReimport(record.reason));
    return isAbsent && !(await isApplicationErased(deadLetter));
  };

  return async (deadLetter: DeadLetter): Promise<'imported' | 'skipped'> => {
    const { signalId, typeCode } = deadLetter;
    if (!(await canImport(deadLetter))) return 'skipped';
    const deadLetters = await backend.queue(DEAD_LETTERS);
    // The skip record of an earlier discard stays until the signal has a new outcome. A lookup prefers
    // the dead letter. If this code removed the record, it could remove that of a concurrent discard,
    // and the signal would be lost without a record.
    await deadLetters.add(typeCode, deadLetter, deadLetterJobOptions(signalId));
    const storedJob = await deadLetters.getJob(signalId);
    const stored = readDeadLetter(storedJob);
    // `add` has no effect if a dead letter of this id exists, of whatever version.
    if (
      storedJob !== undefined &&
      (stored === undefined || failureId(stored) !== failureId(deadLetter))
    ) {
      return 'skipped';
    }
    const signal = isObject(deadLetter.job) ? deadLetter.job.signal : undefined;
    await backend.index
      .indexSignals(searchKeysOf(signal).map((searchKey) => ({ ...searchKey, signalId })))
      .catch(() => {});
    return 'imported';
  };
};

/**
 * Yields stored dead letters with their signals, and so with their tokens. A token is encrypted if it is
 * encrypted in the queue. Dead letters of a newer version are left out, as in every list.
 */
export const createExportDeadLetters = (backend: Pick<Backend, 'queue'>) =>
  async function* ({
    limit = Number.POSITIVE_INFINITY,
    ...filter
  }: DeadLetterFilter): AsyncGenerator<DeadLetter> {
    let taken = 0;
    for await (const { deadLetter } of scanDeadLetters(await backend.queue(DEAD_LETTERS))) {
      if (!matches(deadLetter, filter)) continue;
      if (taken === limit) return;
      taken += 1;
      yield deadLetter;
    }
  };

export type ExportDeadLetters = ReturnType<typeof createExportDeadLetters>;

/** One line of an exported file. A redrive request that is pending in the queue is left out. */
export const writeExportLine = ({
  redriveBy,
  redriveRequested,
  ...deadLetter
}: DeadLetter): string => `${JSON.stringify(deadLetter)}\n`;

type ExportLine = { deadLetter: DeadLetter } | { problem: string };

/** Reads one line. A problem repeats no value of the line. `undefined`: the line is empty. */
export const readExportLine = (bytes: Uint8Array): ExportLine | undefined => {
  const read = parseLine(bytes);
  if (read === undefined || 'problem' in read) return read;
  const parsed = DeadLetterSchema.safeParse(read.value, { reportInput: true });
  if (!parsed.success) return { problem: nameProblems(toInvalidFields(parsed.error)) };
  const { redriveBy, redriveRequested, ...deadLetter } = parsed.data;
  const { signalId, failedJob } = deadLetter;
  // A signal is found by its id, and its encrypted token is bound to the id of its job.
  if (signalId !== deadLetterIdOf(failedJob.jobId) || !isDeadLetterId(signalId)) {
    return { problem: '/signalId: Must be the dead letter id of /failedJob/jobId' };
  }
  return { deadLetter };
};

const decoder = new TextDecoder('utf-8', { fatal: true });

const parseLine = (bytes: Uint8Array): { value: unknown } | { problem: string } | undefined => {
  try {
    const text = decoder.decode(bytes).trim();
    return text === '' ? undefined : { value: JSON.parse(text, rejectUnstorable) };
  } catch (err) {
    if (err instanceof UnstorableTextError) return { problem: err.message };
    // The parser's own message quotes the line. JSON that is nested too deep fails here as well.
    return { problem: 'Is not JSON in UTF-8' };
  }
};

class UnstorableTextError extends Error {
  override readonly name = 'UnstorableTextError';
}

// The embedded queue's PostgreSQL stores neither text. One such line would stop the import of all lines
// after it.
const rejectUnstorable = (key: string, value: unknown): unknown => {
  for (const text of [key, value]) {
    if (typeof text !== 'string') continue;
    if (text.includes('\0')) throw new UnstorableTextError('Has a NUL character in it');
    if (!text.isWellFormed()) throw new UnstorableTextError('Is not well-formed Unicode');
  }
  return value;
};
