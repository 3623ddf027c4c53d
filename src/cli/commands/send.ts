import { ConfigError } from '../../config/config.ts';
import type { EnqueueResult, InvalidResult } from '../../producer/enqueue.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { InvalidFields } from '../../schemas/invalidFields.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import { type Line, openInput, readLines, STANDARD_INPUT } from '../io/lines.ts';
import { complain, type Output, print, withAdminClient } from './inspect.ts';
import { createRejects, type Rejects, startProgress } from './sendOutput.ts';

const MEBIBYTE = 1024 * 1024;
const MOST_LINE_BYTES = MEBIBYTE;
// What the HTTP API takes at once, and then some room.
const BATCH = { lines: 500, bytes: 2 * MEBIBYTE };

const decoder = new TextDecoder('utf-8', { fatal: true });

export type SendOptions = Output & { rejects?: string; fromLine?: string };

/** What became of a file. */
type Report = {
  /** That had a signal in them, or should have. */
  lines: number;
  accepted: number;
  duplicates: number;
  rejected: number;
  /** Where the rejected lines are, as they were. */
  rejectsFile?: string | undefined;
  seconds: number;
  /** Lines from here on were not looked at, or not answered. */
  stoppedAtLine?: number | undefined;
};

type Counts = Pick<Report, 'lines' | 'accepted' | 'duplicates' | 'rejected'>;
type Batch = { line: Line & { bytes: Buffer }; signal: unknown }[];
type Progress = ReturnType<typeof startProgress>;

/**
 * `seek-signals send FILE`: one signal a line. A bad line stops nothing, and nor does it get lost; what
 * was accepted before is recognised, so that a run that was cut off can be repeated.
 */
export const send = (
  env: NodeJS.ProcessEnv,
  path: string,
  options: SendOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> =>
  withAdminClient(env, async (admin) => {
    const fromLine = readFromLine(options.fromLine);
    const { stream, bytes } = await openInput(path);
    const name = path === STANDARD_INPUT ? 'standard-input' : path;
    const rejects = createRejects(options.rejects ?? `${name}.rejects`);
    const progress = startProgress(bytes);
    let isTold = false;
    void termination.then(() => {
      isTold = true;
      stream.destroy();
    });
    const began = performance.now();
    const run = createRun({ admin, rejects, progress });
    let failure: string | undefined;
    try {
      for await (const line of readLines(stream, MOST_LINE_BYTES)) {
        if (line.number >= fromLine) await run.take(line);
        if (isTold) break;
      }
      await run.end();
    } catch (err) {
      if (err instanceof ConfigError) throw err;
      failure = messageOf(err);
    } finally {
      progress.stop();
      await rejects.close();
    }
    const isWhole = failure === undefined && !isTold;
    const report: Report = {
      ...run.counts,
      rejectsFile: rejects.name(),
      seconds: Math.round(performance.now() - began) / 1_000,
      stoppedAtLine: isWhole ? undefined : Math.max(fromLine, run.nextLine()),
    };
    print(report, options, render);
    if (!isWhole) {
      complain(
        `Stopped before line ${report.stoppedAtLine}: ${isTold ? 'told to' : failure}\nRun it again: what was accepted is recognised for as long as DEDUPE_WINDOW_MS says, and not sent twice`,
      );
    }
    return isWhole && report.rejected === 0 ? 0 : 1;
  });

type RunDeps = { admin: AdminClient; rejects: Rejects; progress: Progress };

const createRun = ({ admin, rejects, progress }: RunDeps) => {
  const counts: Counts = { lines: 0, accepted: 0, duplicates: 0, rejected: 0 };
  let batch: Batch = [];
  let size = 0;
  /** The first that has not come to its end. */
  let nextLine = 1;

  const reject = async ({ number, bytes }: Line, problems: string[]): Promise<void> => {
    counts.rejected += 1;
    progress.say(problems.map((problem) => `line ${number}: ${problem}`).join('\n'));
    if (bytes !== undefined) await rejects.add(bytes);
  };

  const conclude = async (line: Line, result: EnqueueResult | InvalidResult) => {
    if ('invalidFields' in result) return reject(line, describe(result.invalidFields));
    if (result.duplicate) counts.duplicates += 1;
    else counts.accepted += 1;
    for (const warning of result.warnings ?? []) {
      progress.say(`line ${line.number}: warning: ${warning}`);
    }
  };

  const flush = async (): Promise<void> => {
    const [last] = batch.slice(-1);
    if (last === undefined) return;
    const results = await admin.enqueue(batch.map(({ signal }) => signal));
    for (const [index, { line }] of batch.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error('The API has left a signal unanswered');
      await conclude(line, result);
    }
    nextLine = last.line.number + 1;
    [batch, size] = [[], 0];
    progress.update(last.line.end, counts.lines);
  };

  return {
    counts,
    nextLine: () => nextLine,
    take: async (line: Line): Promise<void> => {
      const { bytes } = line;
      const read = bytes === undefined ? TOO_LONG : parse(bytes, line.number === 1);
      if (read === EMPTY) return;
      counts.lines += 1;
      if ('problem' in read || bytes === undefined) {
        // In their order, so that it can be said how far it came.
        await flush();
        await reject(line, 'problem' in read ? [read.problem] : []);
        nextLine = line.number + 1;
        return;
      }
      if (size + bytes.byteLength > BATCH.bytes) await flush();
      batch.push({ line: { ...line, bytes }, signal: read.signal });
      size += bytes.byteLength;
      if (batch.length === BATCH.lines) await flush();
    },
    end: flush,
  };
};

type Read = { signal: unknown } | { problem: string };

const TOO_LONG: Read = { problem: 'Is over 1 MiB long, and not kept' };
const EMPTY: Read = { problem: '' };

const parse = (bytes: Buffer, isFirst: boolean): Read => {
  try {
    // It does not pass on the mark that some programs begin a file with.
    const text = decoder.decode(bytes).trim();
    if (text === '') return EMPTY;
    if (isFirst && text.startsWith('[')) throw new ConfigError(LIST);
    return { signal: JSON.parse(text) };
  } catch (err) {
    if (err instanceof ConfigError) throw err;
    // Not in the parser's words, which quote the line.
    return { problem: 'Is not JSON in UTF-8' };
  }
};

const LIST =
  "The file is a JSON list. One signal a line is wanted: jq -c '.[]' FILE makes that of it";

const describe = (fields: InvalidFields): string[] =>
  Object.entries(fields).map(([pointer, message]) =>
    pointer === '' ? message : `${pointer}: ${message}`,
  );

const readFromLine = (text = '1'): number => {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new ConfigError('--from-line must be a number from 1');
  return Number(text);
};

const render = ({ accepted, duplicates, rejected, rejectsFile, lines, seconds }: Report): string =>
  [
    `accepted ${accepted}, duplicates ${duplicates}, rejected ${rejected} of ${lines} in ${seconds} s`,
    ...(rejectsFile === undefined
      ? []
      : [`rejected lines, to be corrected and sent: ${rejectsFile}`]),
  ].join('\n');
