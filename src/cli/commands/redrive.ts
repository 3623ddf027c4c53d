import { createInterface } from 'node:readline/promises';
import { setTimeout as wait } from 'node:timers/promises';

import type { Redriven } from '../../deadLetters/redrive.ts';
import { createRedrivePreview, type RedrivePreview } from '../../deadLetters/redriveMany.ts';
import { type InvalidFields, nameProblems } from '../../schemas/invalidFields.ts';
import type { AdminClient } from '../admin/adminClient.ts';
import {
  type FilterOptions,
  readFilter,
  readNumber,
  withoutProblems,
} from '../io/filterOptions.ts';
import { renderRedrivePreview } from '../io/renderDeadLetters.ts';
import { collectDeadLetters } from './deadLetters.ts';
import { complain, type Output, print, withAdminClient } from './inspect.ts';

export type RedriveOptions = FilterOptions & Output & { dryRun?: boolean; rate?: string };

type Report = {
  redriven: string[];
  /** Would not be accepted today, and stay where they are. */
  invalid: { signalId: string; invalidFields: InvalidFields }[];
};

/** `seek-signals dead-letters redrive [ID…]`: those named, or all that the filter takes. */
export const redrive = (
  env: NodeJS.ProcessEnv,
  ids: string[],
  options: RedriveOptions,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  const { filter, isFilter, rate } = withoutProblems((refuse) => {
    const read = readFilter(options, refuse);
    const isRead = Object.values(read).some((value) => value !== undefined);
    if (ids.length > 0 && isRead) refuse('Give signal ids or a filter, not both');
    return { filter: read, isFilter: isRead, rate: readNumber('rate', options.rate, refuse) };
  });
  return withAdminClient(env, async (admin) => {
    if (options.dryRun) {
      const preview =
        ids.length > 0 ? await previewRedrive(admin, ids) : await admin.previewRedrive(filter);
      print(preview, options, renderRedrivePreview);
      return ids.length > preview.wouldRedrive + preview.invalid ? 1 : 0;
    }
    const chosen =
      ids.length > 0
        ? ids
        : (await collectDeadLetters(admin, filter)).map(({ signalId }) => signalId);
    const isAll = ids.length === 0 && !isFilter;
    if (isAll && !(await isMeant(chosen.length))) return 1;
    const stop = new AbortController();
    void termination.then(() => stop.abort());
    const report = await redriveEach(admin, chosen, rate, stop.signal);
    if (stop.signal.aborted) complain('Stopped; run it again for the rest');
    print(report, options, render(chosen.length));
    return report.redriven.length === chosen.length ? 0 : 1;
  });
};

/** Who forgets a filter on a terminal is asked; a program is taken at its word. */
const isMeant = async (deadLetters: number): Promise<boolean> => {
  if (deadLetters === 0 || !process.stdin.isTTY) return true;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`Redrive all ${deadLetters} dead letters? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
};

const redriveEach = async (
  admin: AdminClient,
  ids: readonly string[],
  rate: number | undefined,
  signal: AbortSignal,
): Promise<Report> => {
  const report: Report = { redriven: [], invalid: [] };
  for (const signalId of ids) {
    if (signal.aborted) break;
    const outcome = await admin.redrive(signalId);
    if (outcome.kind === 'redriven') report.redriven.push(signalId);
    else complain(`${signalId}: ${whyNot(outcome)}`);
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
    const [outcome, deadLetter] = [
      await admin.redrive(signalId, { dryRun: true }),
      await admin.deadLetter(signalId),
    ];
    if (deadLetter === undefined || outcome.kind === 'not-found' || outcome.kind === 'busy') {
      complain(`${signalId}: ${whyNot({ kind: 'not-found' })}`);
    } else {
      preview.add(deadLetter, outcome.kind === 'invalid' ? outcome.invalidFields : undefined);
    }
  }
  return preview.outcome();
};

const whyNot = (outcome: Redriven): string => {
  switch (outcome.kind) {
    case 'busy':
      return 'is on its way already';
    case 'invalid':
      return `would not be accepted today: ${nameProblems(outcome.invalidFields)}`;
    default:
      return 'no such dead letter';
  }
};

const render =
  (chosen: number) =>
  ({ redriven, invalid }: Report): string =>
    [
      `redriven ${redriven.length} of ${chosen}`,
      ...(invalid.length === 0 ? [] : [`not valid ${invalid.length}`]),
    ].join(', ');
