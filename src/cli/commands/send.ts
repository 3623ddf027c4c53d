import { ConfigError } from '../../config/config.ts';
import type { EnqueueResult, InvalidResult } from '../../producer/enqueue.ts';
import type { InvalidFields } from '../../schemas/invalidFields.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import { withAdminClient } from '../admin/withAdminClient.ts';
import { consumeLines, type Line, openInput, STANDARD_INPUT } from '../io/lines.ts';
import { type OutputOptions, printMessage, printResult } from '../io/output.ts';
import { createRejects, type Rejects, startProgress } from './sendOutput.ts';

const MEBIBYTE = 1024 * 1024;
const MAX_LINE_BYTES = MEBIBYTE;
// Half of what POST /signals/batch accepts.
const MAX_BATCH_LINES = 500;
const MAX_BATCH_BYTES = 2 * MEBIBYTE;

const decoder = new TextDecoder('utf-8', { fatal: true });

export type SendOptions = OutputOptions & { rejects?: string; fromLine?: string };

type SendReport = {
  /** Lines that are not empty. */
  lines: number;
  accepted: number;
  duplicates: number;
  rejected: number;
  /** The file with the rejected lines, unchanged. */
  rejectsFile?: string | undefined;
  seconds: number;
  /** The first line that was not read, or has no result. */
  stoppedAtLine?: number | undefined;
};

type Counts = Pick<SendReport, 'lines' | 'accepted' | 'duplicates' | 'rejected'>;
type Progress = ReturnType<typeof startProgress>;

/**
 * `seek-signals send FILE`: enqueues one signal per line. An invalid line does not stop the rest, and is
 * written to the file of rejects. An interrupted run can be repeated, because accepted signals are duplicates.
 */
export const send = (
  env: NodeJS.ProcessEnv,
  path: string,
  options: SendOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> =>
  withAdminClient(env, 'send', async (admin) => {
    const fromLine = readFromLine(options.fromLine);
    const { stream, bytes } = await openInput(path);
    const name = path === STANDARD_INPUT ? 'standard-input' : path;
    const rejects = createRejects(options.rejects ?? `${name}.rejects`);
    const progress = startProgress(bytes);
    const began = performance.now();
    const sender = createSender({ admin, rejects, progress });
    const add = async (line: Line): Promise<void> => {
      if (line.number >= fromLine) await sender.add(line);
    };
    let stopReason: string | undefined;
    try {
      const consumer = { add, flush: sender.flush };
      stopReason = await consumeLines(stream, MAX_LINE_BYTES, consumer, termination);
    } finally {
      progress.stop();
      await rejects.close();
    }
    const report: SendReport = {
      ...sender.counts,
      rejectsFile: rejects.name(),
      seconds: Math.round(performance.now() - began) / 1_000,
      stoppedAtLine: stopReason === undefined ? undefined : Math.max(fromLine, sender.nextLine()),
    };
    printResult(report, options, render);
    if (stopReason !== undefined) {
      printMessage(
        `Stopped before line ${report.stoppedAtLine}: ${stopReason}`,
        `Run it again: accepted signals are recognised for DEDUPE_WINDOW_MS, and are not sent twice`,
      );
    }
    return stopReason === undefined && report.rejected === 0 ? 0 : 1;
  });

type SenderDeps = {
  admin: Pick<AdminClient, 'enqueue'>;
  rejects: Pick<Rejects, 'add'>;
  progress: Pick<Progress, 'printLines' | 'update'>;
};

const createSender = ({ admin, rejects, progress }: SenderDeps) => {
  const counts: Counts = { lines: 0, accepted: 0, duplicates: 0, rejected: 0 };
  let batch: { line: Line & { bytes: Buffer }; signal: unknown }[] = [];
  let batchBytes = 0;
  /** The first line without a result. */
  let nextLine = 1;

  const reject = async ({ number, bytes }: Line, problems: string[]): Promise<void> => {
    counts.rejected += 1;
    progress.printLines(...problems.map((problem) => `line ${number}: ${problem}`));
    if (bytes !== undefined) await rejects.add(bytes);
  };

  const report = async (line: Line, result: EnqueueResult | InvalidResult): Promise<void> => {
    if ('invalidFields' in result) return reject(line, describeProblems(result.invalidFields));
    if (result.duplicate) counts.duplicates += 1;
    else counts.accepted += 1;
    for (const warning of result.warnings ?? []) {
      progress.printLines(`line ${line.number}: warning: ${warning}`);
    }
  };

  const flush = async (): Promise<void> => {
    const last = batch.at(-1);
    if (last === undefined) return;
    const results = await admin.enqueue(batch.map(({ signal }) => signal));
    for (const [index, { line }] of batch.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error('The API returned no result for a signal');
      await report(line, result);
    }
    nextLine = last.line.number + 1;
    batch = [];
    batchBytes = 0;
    progress.update(last.line.end, counts.lines);
  };

  return {
    counts,
    nextLine: () => nextLine,
    add: async (line: Line): Promise<void> => {
      const { bytes } = line;
      const parsed = bytes === undefined ? TOO_LONG : parse(bytes, line.number === 1);
      if (parsed === EMPTY) return;
      counts.lines += 1;
      if ('problem' in parsed || bytes === undefined) {
        // Lines are finished in order, so that `nextLine` is exact.
        await flush();
        await reject(line, 'problem' in parsed ? [parsed.problem] : []);
        nextLine = line.number + 1;
        return;
      }
      if (batchBytes + bytes.byteLength > MAX_BATCH_BYTES) await flush();
      batch.push({ line: { ...line, bytes }, signal: parsed.signal });
      batchBytes += bytes.byteLength;
      if (batch.length === MAX_BATCH_LINES) await flush();
    },
    flush,
  };
};

type ParsedLine = { signal: unknown } | { problem: string };

const TOO_LONG: ParsedLine = {
  problem: 'Is over 1 MiB long, and is not written to the file of rejects',
};
const EMPTY: ParsedLine = { problem: '' };

const parse = (bytes: Buffer, isFirst: boolean): ParsedLine => {
  try {
    // The decoder removes a byte order mark.
    const text = decoder.decode(bytes).trim();
    if (text === '') return EMPTY;
    if (isFirst && text.startsWith('[')) throw new ConfigError(JSON_LIST);
    return { signal: JSON.parse(text) };
  } catch (err) {
    if (err instanceof ConfigError) throw err;
    // The message of the parser is dropped, because it quotes the line, which holds a seek token.
    return { problem: 'Is not JSON in UTF-8' };
  }
};

const JSON_LIST =
  "The file is a JSON list. Expected one signal per line. To convert it: jq -c '.[]' FILE";

const describeProblems = (fields: InvalidFields): string[] =>
  Object.entries(fields).map(([pointer, message]) =>
    pointer === '' ? message : `${pointer}: ${message}`,
  );

const readFromLine = (text = '1'): number => {
  if (!/^[1-9]\d{0,14}$/.test(text)) {
    throw new ConfigError('--from-line must be a whole number from 1');
  }
  return Number(text);
};

const render = ({
  accepted,
  duplicates,
  rejected,
  rejectsFile,
  lines,
  seconds,
}: SendReport): string =>
  [
    `accepted ${accepted}, duplicates ${duplicates}, rejected ${rejected} of ${lines} in ${seconds} s`,
    ...(rejectsFile === undefined
      ? []
      : [`rejected lines are in ${rejectsFile}: correct them and send that file`]),
  ].join('\n');
