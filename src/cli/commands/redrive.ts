import { createInterface } from 'node:readline/promises';
import { setTimeout as wait } from 'node:timers/promises';

import type { RedriveOutcome } from '../../deadLetters/redrive.ts';
import { createRedrivePreview, type RedrivePreview } from '../../deadLetters/redriveMany.ts';
import { type InvalidFields, nameProblems } from '../../schemas/invalidFields.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import { withAdminClient } from '../admin/withAdminClient.ts';
import { type FilterOptions, readFilter, readNumber, readOptions } from '../io/filterOptions.ts';
import { type OutputOptions, printMessage, printResult } from '../io/output.ts';
import { renderRedrivePreview } from '../io/renderDeadLetters.ts';
import { collectDeadLetters } from './deadLetters.ts';

export type RedriveOptions = FilterOptions & OutputOptions & { dryRun?: boolean; rate?: string };

type RedriveReport = {
  redriven: string[];
  /** These would fail validation today, and stay in the dead letters. */
  invalid: { signalId: string; invalidFields: InvalidFields }[];
};

/** `seek-signals dead-letters redrive [ID…]`: the given dead letters, or all that match the filter. */
export const redrive = (
  env: NodeJS.ProcessEnv,
  ids: string[],
  options: RedriveOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const { filter, isFiltered, rate } = readRedriveOptions(ids, options);
  return withAdminClient(env, 'dead-letters', async (admin) => {
    if (options.dryRun) {
      const preview =
        ids.length > 0 ? await previewRedrive(admin, ids) : await admin.previewRedrive(filter);
      printResult(preview, options, renderRedrivePreview);
      return ids.length > preview.wouldRedrive + preview.invalid ? 1 : 0;
    }
    const chosen =
      ids.length > 0
        ? ids
        : (await collectDeadLetters(admin, filter)).map(({ signalId }) => signalId);
    const isAll = ids.length === 0 && !isFiltered;
    if (isAll && !(await confirmAll(chosen.length))) return 1;
    const stop = new AbortController();
    void termination.then(() => stop.abort());
    const report = await redriveEach(admin, chosen, rate, stop.signal);
    if (stop.signal.aborted) printMessage('Interrupted; run it again for the rest');
    printResult(report, options, render(chosen.length));
    return report.redriven.length === chosen.length ? 0 : 1;
  });
};

const readRedriveOptions = (ids: string[], options: RedriveOptions) =>
  readOptions((addProblem) => {
    const filter = readFilter(options, addProblem);
    const isFiltered = Object.values(filter).some((value) => value !== undefined);
    if (ids.length > 0 && isFiltered) addProblem('Give signal ids or a filter, not both');
    return { filter, isFiltered, rate: readNumber('rate', options.rate, addProblem) };
  });

/** Asks on a terminal, because a missing filter may be a mistake. A script gets no question. */
const confirmAll = async (count: number): Promise<boolean> => {
  if (count === 0 || !process.stdin.isTTY) return true;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`Redrive all ${count} dead letters? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
};

const redriveEach = async (
  admin: AdminClient,
  ids: readonly string[],
  rate: number | undefined,
  signal: AbortSignal,
): Promise<RedriveReport> => {
  const report: RedriveReport = { redriven: [], invalid: [] };
  for (const signalId of ids) {
    if (signal.aborted) break;
    const outcome = await admin.redrive(signalId);
    if (outcome.kind === 'redriven') report.redriven.push(signalId);
    else printMessage(`${signalId}: ${describeFailure(outcome)}`);
    if (outcome.kind === 'invalid') {
      report.invalid.push({ signalId, invalidFields: outcome.invalidFields });
    }
    if (rate !== undefined) await wait(1000 / rate, undefined, { signal }).catch(() => {});
  }
  return report;
};

const previewRedrive = async (
  admin: AdminClient,
  ids: readonly string[],
): Promise<RedrivePreview> => {
  const preview = createRedrivePreview();
  for (const signalId of ids) {
    const outcome = await admin.redrive(signalId, { dryRun: true });
    const deadLetter = await admin.deadLetter(signalId);
    if (deadLetter === undefined || outcome.kind === 'not-found' || outcome.kind === 'busy') {
      printMessage(`${signalId}: ${describeFailure({ kind: 'not-found' })}`);
    } else {
      preview.add(deadLetter, outcome.kind === 'invalid' ? outcome.invalidFields : undefined);
    }
  }
  return preview.outcome();
};

const describeFailure = (outcome: RedriveOutcome): string => {
  switch (outcome.kind) {
    case 'busy':
      return 'is already being redriven';
    case 'invalid':
      return `would fail validation today: ${nameProblems(outcome.invalidFields)}`;
    default:
      return 'no such dead letter';
  }
};

const render =
  (chosen: number) =>
  ({ redriven, invalid }: RedriveReport): string =>
    [
      `redriven ${redriven.length} of ${chosen}`,
      ...(invalid.length === 0 ? [] : [`invalid ${invalid.length}`]),
    ].join(', ');
