import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Commands, Env } from '../support/commands.ts';

import { check } from './checker.ts';
import { drain } from './drain.ts';
import { type Environment, startEnvironment } from './environment.ts';
import { type Allowance, collectEvidence, NO_FAULTS } from './evidence.ts';
import type { Options } from './options.ts';
import { createRandom } from './random.ts';
import type { Violation } from './violation.ts';

export type Scenario = {
  name: string;
  /** Its share of `CAPACITY`. Most scenarios wait most of the time. */
  load: 1 | 2;
  /** `false`: it waits for real locks to expire, so a short run leaves it out. */
  inShortRun: boolean;
  env?: Env;
  /** Why this machine cannot run it; `undefined` if it can. */
  whyUnavailable?: () => string | undefined;
  /** How long the pending work may take after the last fault. */
  drainTimeoutMs?: number;
  /** Causes the faults and ends them. Resolves with a function that says what they explain. */
  run: (environment: Environment) => Promise<() => Partial<Allowance>>;
};

export type Result = {
  name: string;
  signals: number;
  arrived: number;
  duplicates: number;
  allowedDuplicates: number;
  dead: number;
  skipped: number;
  requests: number;
  seconds: number;
  violations: Violation[];
  /** The folder with the logs; only if the scenario failed. */
  logs?: string;
};

type Deps = { commands: Commands; options: Options; folder: string };

const DRAIN_TIMEOUT_MS = 150_000;
const SHORT_DRAIN_TIMEOUT_MS = 45_000;

/** Runs one scenario from an empty queue to its result. */
export const runScenario = async (
  { name, env = {}, run, drainTimeoutMs = DRAIN_TIMEOUT_MS }: Scenario,
  { commands, options: { seed, short }, folder }: Deps,
): Promise<Result> => {
  const began = Date.now();
  const random = createRandom(seed, name);
  const environment = await startEnvironment({ commands, random, short, env });
  const { producer, history } = environment;
  const violations: Violation[] = [];
  const report = (what: string) => (err: unknown) => {
    const message = err instanceof Error ? err.message : err;
    violations.push({ what: `${what}: ${message}`, signalIds: [] });
    return undefined;
  };

  try {
    const explain = await run(environment).catch(report('the scenario failed'));
    await drain(environment, short ? SHORT_DRAIN_TIMEOUT_MS : drainTimeoutMs).catch(
      report('could not read the pending work'),
    );
    const allowance = { ...NO_FAULTS, ...explain?.() };
    const evidence = await collectEvidence(environment)
      .catch(async (err: unknown) => {
        report('the API did not answer; started another one')(err);
        await environment.startApi();
        return collectEvidence(environment);
      })
      .catch(report('could not collect the evidence'));
    if (evidence !== undefined) violations.push(...check(evidence, allowance));
    environment.verify(producer.accepted.size > 0, 'no signal was accepted, so nothing is proved');
    violations.push(...environment.violations.map((what) => ({ what, signalIds: [] })));

    const logs = violations.length === 0 ? undefined : await saveLogs(environment, folder, name);
    const records = [...(evidence?.lookup.values() ?? [])];
    return {
      name,
      violations,
      signals: producer.accepted.size,
      arrived: history.marks().length,
      duplicates: history.duplicates().reduce((sum, { times }) => sum + times, 0),
      allowedDuplicates: allowance.duplicates,
      dead: evidence?.deadLetters.length ?? 0,
      skipped: records.filter((record) => record?.state === 'skipped').length,
      requests: history.arrivals.length,
      seconds: Math.round((Date.now() - began) / 1000),
      ...(logs === undefined ? {} : { logs }),
    };
  } finally {
    await environment.close();
  }
};

const saveLogs = async (
  { outputs, history }: Environment,
  parent: string,
  scenario: string,
): Promise<string> => {
  const folder = join(parent, scenario);
  await mkdir(folder, { recursive: true });
  for (const { name, text } of outputs()) await writeFile(join(folder, `${name}.log`), text);
  const arrivals = history.arrivals.map((arrival) => `${JSON.stringify(arrival)}\n`);
  await writeFile(join(folder, 'seek.ndjson'), arrivals.join(''));
  return folder;
};
