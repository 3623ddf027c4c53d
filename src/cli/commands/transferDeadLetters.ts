import { open, rm } from 'node:fs/promises';
import { ConfigError } from '../../config/config.ts';
import { writeExportLine } from '../../deadLetters/transfer.ts';
import { messageOf } from '../../runtime/errors.ts';
import { escapeUnprintable } from '../../runtime/printable.ts';
import type { DeadLetter } from '../../schemas/deadLetter.ts';
import { isObject } from '../../schemas/json.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import { withAdminClient } from '../admin/withAdminClient.ts';
import { type FilterOptions, readFilter, readOptions } from '../io/filterOptions.ts';
import { consumeLines, type Line, openInput } from '../io/lines.ts';
import { type OutputOptions, printMessage, printResult } from '../io/output.ts';

const MEBIBYTE = 1024 * 1024;
// Fewer lines than POST /dead-letters/import accepts, because the queue looks up each of them.
const MAX_BATCH_LINES = 200;
const MAX_BATCH_BYTES = 4 * MEBIBYTE;
const TOO_LONG = 'Is over 4 MiB long';

type ImportReport = {
  imported: number;
  /** Already present, already completed, or of an erased application. */
  skipped: number;
  invalid: number;
  /** The first line that was not read, or has no result. */
  stoppedAtLine?: number | undefined;
};

/** `seek-signals dead-letters import FILE`: imports exported dead letters, one per line. */
export const importDeadLetters = (
  env: NodeJS.ProcessEnv,
  path: string,
  options: OutputOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> =>
  withAdminClient(env, 'dead-letters', async (admin) => {
    const { stream } = await openInput(path);
    const importer = createImporter(admin);
    const stopReason = await consumeLines(stream, MAX_BATCH_BYTES, importer, termination);
    const stoppedAtLine = stopReason === undefined ? undefined : importer.nextLine();
    printResult({ ...importer.counts, stoppedAtLine }, options, render);
    if (stopReason !== undefined) {
      printMessage(
        `Stopped before line ${stoppedAtLine}: ${stopReason}`,
        `Run it again: dead letters that were imported are skipped`,
      );
    }
    return stopReason === undefined && importer.counts.invalid === 0 ? 0 : 1;
  });

const createImporter = (admin: Pick<AdminClient, 'importDeadLetters'>) => {
  const counts = { imported: 0, skipped: 0, invalid: 0 };
  let batch: { number: number; bytes: Buffer }[] = [];
  let batchBytes = 0;
  /** The first line without a result. */
  let nextLine = 1;

  const reject = (number: number | undefined, message: string): void => {
    counts.invalid += 1;
    printMessage(`line ${number}: ${message}`);
  };

  const flush = async (): Promise<void> => {
    const last = batch.at(-1);
    if (last === undefined) return;
    const { imported, skipped, invalid } = await admin.importDeadLetters(
      batch.map(({ bytes }) => bytes),
    );
    counts.imported += imported;
    counts.skipped += skipped;
    for (const { line, message } of invalid) reject(batch[line - 1]?.number, message);
    nextLine = last.number + 1;
    batch = [];
    batchBytes = 0;
  };

  return {
    counts,
    flush,
    nextLine: () => nextLine,
    add: async ({ number, bytes }: Line): Promise<void> => {
      if (bytes === undefined) {
        // Lines are finished in order, so that `nextLine` is exact.
        await flush();
        reject(number, TOO_LONG);
        nextLine = number + 1;
        return;
      }
      // The request has a line break between two lines.
      const requestBytes = batchBytes + batch.length + bytes.byteLength;
      if (requestBytes > MAX_BATCH_BYTES) await flush();
      batch.push({ number, bytes });
      batchBytes += bytes.byteLength;
      if (batch.length === MAX_BATCH_LINES) await flush();
    },
  };
};

const render = ({ imported, skipped, invalid }: ImportReport): string =>
  `imported ${imported}, skipped ${skipped}, invalid ${invalid}`;

const STANDARD_OUTPUT = '-';
// The dead letters contain seek tokens.
const OWNER_ONLY = 0o600;

/**
 * `seek-signals dead-letters export [FILE]`: writes complete dead letters, one per line. Removes a file that is
 * incomplete, because an operator may discard every dead letter after the export.
 */
export const exportDeadLetters = (
  env: NodeJS.ProcessEnv,
  path: string,
  options: FilterOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const filter = readOptions((addProblem) => readFilter(options, addProblem));
  return withAdminClient(env, 'dead-letters', async (admin) => {
    const output = path === STANDARD_OUTPUT ? openStandardOutput() : await createFile(path);
    let isInterrupted = false;
    void termination.then(() => {
      isInterrupted = true;
    });
    const counts = { exported: 0, unencrypted: 0 };
    try {
      for await (const deadLetter of admin.exportDeadLetters(filter)) {
        if (isInterrupted) throw new Error('interrupted');
        await output.write(writeExportLine(deadLetter));
        counts.exported += 1;
        if (hasUnencryptedToken(deadLetter)) counts.unencrypted += 1;
      }
      await output.finish();
    } catch (err) {
      await output.abandon();
      printMessage(`Export failed: ${messageOf(err)}. The output is incomplete`);
      return 1;
    }
    printMessage(
      `exported ${counts.exported}${path === STANDARD_OUTPUT ? '' : ` to ${path}`}; they also stay in the dead letters`,
    );
    if (counts.unencrypted > 0) {
      printMessage(
        `${counts.unencrypted} of them contain a seek token in plain text: protect the file`,
      );
    }
    return 0;
  });
};

type ExportOutput = {
  write: (text: string) => Promise<unknown>;
  finish: () => Promise<void>;
  /** Called when the export is incomplete. */
  abandon: () => Promise<void>;
};

/** Creates the file, and refuses to overwrite an existing one. */
const createFile = async (path: string): Promise<ExportOutput> => {
  const file = await open(path, 'wx', OWNER_ONLY).catch((err: NodeJS.ErrnoException) => {
    throw new ConfigError(
      err.code === 'EEXIST'
        ? `${path} already exists; give another name`
        : `Failed to create ${path}: ${err.code}`,
    );
  });
  return {
    write: (text) => file.appendFile(text),
    finish: async () => {
      // After the export an operator may discard the dead letters, so the file must survive a power failure.
      await file.sync();
      await file.close();
    },
    abandon: async () => {
      await file.close();
      await rm(path);
    },
  };
};

const openStandardOutput = (): ExportOutput => {
  const { stdout } = process;
  // Without a listener, an error event would end the process. `write` rejects with the same error.
  stdout.on('error', () => {});
  return {
    write: (text) =>
      new Promise<void>((resolve, reject) => {
        // It may be a terminal, and the JSON keeps its meaning.
        stdout.write(`${escapeUnprintable(text.trimEnd())}\n`, (err) =>
          err ? reject(err) : resolve(),
        );
      }),
    finish: async () => {},
    abandon: async () => {},
  };
};

const hasUnencryptedToken = ({ job }: DeadLetter): boolean =>
  isObject(job) && isObject(job.signal) && typeof job.signal.token === 'string';
