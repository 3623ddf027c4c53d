import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Commands, Env } from '../support/commands.ts';

import { check } from './checker.ts';
import { openStage, type Stage } from './environment.ts';
import { gather, NO_HARM, type Terms } from './evidence.ts';
import type { Finding } from './finding.ts';
import type { Options } from './options.ts';
import { createRandom } from './random.ts';
import { settle } from './settle.ts';

export type Scenario = {
  name: string;
  /** How much of the machine it wants. Most of them mostly wait. */
  load: 1 | 2;
  /** `false`: it has to wait for real locks, and is left out of a short run. */
  inShort: boolean;
  env?: Env;
  /** How long all may take to come to rest, once the faults are over. */
  settleWithinMs?: number;
  /** Does harm, mends it, and says afterwards what the harm explains. */
  play: (stage: Stage) => Promise<() => Partial<Terms>>;
};

export type Result = {
  name: string;
  signals: number;
  arrived: number;
  duplicates: number;
  allowed: number;
  dead: number;
  skipped: number;
  requests: number;
  seconds: number;
  findings: Finding[];
  /** Where the logs are; only of a scenario that failed. */
  logs?: string;
};

type Deps = { commands: Commands; options: Options; folder: string };

const SETTLE_WITHIN_MS = 150_000;
const SETTLE_WITHIN_SHORT_MS = 45_000;

/** Plays one scenario from an empty queue to the verdict. */
export const runScenario = async (
  { name, env = {}, play, settleWithinMs = SETTLE_WITHIN_MS }: Scenario,
  { commands, options: { seed, short }, folder }: Deps,
): Promise<Result> => {
  const began = Date.now();
  const random = createRandom(seed, name);
  const stage = await openStage({ commands, random, short, env });
  const findings: Finding[] = [];
  const broke = (what: string) => (err: unknown) => {
    findings.push({ what: `${what}: ${err instanceof Error ? err.message : err}`, signalIds: [] });
    return undefined;
  };

  try {
    const explained = await play(stage).catch(broke('the scenario broke off'));
    await settle(stage, short ? SETTLE_WITHIN_SHORT_MS : settleWithinMs).catch(broke('no rest'));
    const terms = { ...NO_HARM, ...explained?.() };
    const evidence = await gather(stage)
      .catch(async (err: unknown) => {
        broke('the API does not answer, a new one was asked')(err);
        await stage.startApi();
        return gather(stage);
      })
      .catch(broke('nothing to judge by'));
    if (evidence !== undefined) findings.push(...check(evidence, terms));
    stage.demand(stage.ats.accepted.size > 0, 'nothing was accepted, so nothing is proved');
    findings.push(...stage.complaints.map((what) => ({ what, signalIds: [] })));

    const logs = findings.length === 0 ? undefined : await keepLogs(stage, join(folder, name));
    const lookup = [...(evidence?.lookup.values() ?? [])];
    return {
      ...{ name, findings, allowed: terms.duplicates },
      signals: stage.ats.accepted.size,
      arrived: stage.history.marks().length,
      duplicates: stage.history.duplicates().reduce((sum, { times }) => sum + times, 0),
      dead: evidence?.deadLetters.length ?? 0,
      skipped: lookup.filter((record) => record?.state === 'skipped').length,
      requests: stage.history.arrivals.length,
      seconds: Math.round((Date.now() - began) / 1000),
      ...(logs === undefined ? {} : { logs }),
    };
  } finally {
    await stage.close();
  }
};

const keepLogs = async ({ outputs, history }: Stage, folder: string): Promise<string> => {
  await mkdir(folder, { recursive: true });
  for (const { name, text } of outputs()) await writeFile(join(folder, `${name}.log`), text);
  const arrivals = history.arrivals.map((arrival) => `${JSON.stringify(arrival)}\n`);
  await writeFile(join(folder, 'seek.ndjson'), arrivals.join(''));
  return folder;
};
