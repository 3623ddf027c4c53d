import { createInterface } from 'node:readline/promises';
import { setTimeout as wait } from 'node:timers/promises';

import type { Redriven } from '../../deadLetters/redrive.ts';
import { createRehearsal, type Rehearsal } from '../../deadLetters/redriveMany.ts';
import { type InvalidFields, nameProblems } from '../../schemas/invalidFields.ts';
import type { Desk } from '../admin/adminClient.ts';
import {
  type FilterOptions,
  readFilter,
  readNumber,
  withoutProblems,
} from '../io/filterOptions.ts';
import { renderRehearsal } from '../io/renderDeadLetters.ts';
import { collectLetters } from './deadLetters.ts';
import { atDesk, complain, type Output, print } from './inspect.ts';

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
  return atDesk(env, async (desk) => {
    if (options.dryRun) {
      const rehearsal = ids.length > 0 ? await rehearse(desk, ids) : await desk.rehearse(filter);
      print(rehearsal, options, renderRehearsal);
      return ids.length > rehearsal.wouldRedrive + rehearsal.invalid ? 1 : 0;
    }
    const chosen =
      ids.length > 0 ? ids : (await collectLetters(desk, filter)).map(({ signalId }) => signalId);
    const isAll = ids.length === 0 && !isFilter;
    if (isAll && !(await isMeant(chosen.length))) return 1;
    const stop = new AbortController();
    void termination.then(() => stop.abort());
    const report = await redriveEach(desk, chosen, rate, stop.signal);
    if (stop.signal.aborted) complain('Stopped; run it again for the rest');
    print(report, options, render(chosen.length));
    return report.redriven.length === chosen.length ? 0 : 1;
  });
};

/** Who forgets a filter on a terminal is asked; a program is taken at its word. */
const isMeant = async (letters: number): Promise<boolean> => {
  if (letters === 0 || !process.stdin.isTTY) return true;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`Redrive all ${letters} dead letters? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
};

const redriveEach = async (
  desk: Desk,
  ids: readonly string[],
  rate: number | undefined,
  signal: AbortSignal,
): Promise<Report> => {
  const report: Report = { redriven: [], invalid: [] };
  for (const signalId of ids) {
    if (signal.aborted) break;
    const outcome = await desk.redrive(signalId);
    if (outcome.kind === 'redriven') report.redriven.push(signalId);
    else complain(`${signalId}: ${whyNot(outcome)}`);
    if (outcome.kind === 'invalid') {
      report.invalid.push({ signalId, invalidFields: outcome.invalidFields });
    }
    if (rate !== undefined) await wait(1000 / rate, undefined, { signal }).catch(() => {});
  }
  return report;
};

const rehearse = async (desk: Desk, ids: readonly string[]): Promise<Rehearsal> => {
  const rehearsal = createRehearsal();
  for (const signalId of ids) {
    const [outcome, letter] = [
      await desk.redrive(signalId, { dryRun: true }),
      await desk.letter(signalId),
    ];
    if (letter === undefined || outcome.kind === 'not-found' || outcome.kind === 'busy') {
      complain(`${signalId}: ${whyNot({ kind: 'not-found' })}`);
    } else {
      rehearsal.add(letter, outcome.kind === 'invalid' ? outcome.invalidFields : undefined);
    }
  }
  return rehearsal.outcome();
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
