import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildCommands, type Commands } from '../support/commands.ts';

import { readOptions } from './options.ts';
import { renderTable, renderViolations } from './report.ts';
import { type Result, runScenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';
import { schedule } from './schedule.ts';

// For two cores. Scenarios that wait for locks leave them to the others.
const CAPACITY = 4;

const options = readOptions();
const { only, short, seed } = options;
const named = SCENARIOS.filter(({ name, inShortRun }) =>
  only === undefined ? !short || inShortRun : name === only,
);
if (named.length === 0) {
  const names = SCENARIOS.map(({ name }) => name).join(', ');
  throw new Error(`No scenario is named ${only}. Choose one of: ${names}`);
}

const unavailable = new Map(
  named.flatMap(({ name, whyUnavailable }) => {
    const reason = whyUnavailable?.();
    return reason === undefined ? [] : [[name, reason]];
  }),
);
if (only !== undefined && unavailable.has(only)) {
  throw new Error(`${only} cannot run on this machine: ${unavailable.get(only)}`);
}
const chosen = named.filter(({ name }) => !unavailable.has(name));

const print = (text: string) => process.stdout.write(`${text}\n`);
const results: Result[] = [];
let commands: Commands;
let running: Map<string, Promise<Result>>;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seek-chaos-'));
  print(`seed ${seed}; to repeat: npm run test:chaos -- --seed ${seed}`);
  commands = await buildCommands();
  running = schedule(chosen, CAPACITY, async (scenario) => {
    const result = await runScenario(scenario, { commands, options, folder });
    const { name, violations, seconds } = result;
    print(`${violations.length === 0 ? 'ok    ' : 'FAILED'} ${name} ${seconds} s`);
    results.push(result);
    return result;
  });
});

afterAll(async () => {
  await Promise.allSettled([...(running?.values() ?? [])]);
  await commands?.stop();
  // Removes the folder only if it is empty, so the logs of failed scenarios stay.
  await rmdir(folder).catch(() => {});
  print(`\nseed ${seed}\n${renderTable(results)}`);
  for (const [name, reason] of unavailable) print(`SKIPPED ${name}: ${reason}`);
});

// All scenarios run at the same time; each test waits for one result.
it.each(chosen.map(({ name }) => name))('chaos scenario %s → no violation', async (name) => {
  const result = await running.get(name);

  if (result === undefined) throw new Error(`${name} did not run`);
  if (result.violations.length > 0) {
    const failure = new Error(renderViolations(result, seed));
    // The stack would point to this line, which says nothing about the violation.
    failure.stack = failure.message;
    throw failure;
  }
});

// Reported, so that a machine which cannot run a scenario does not look like one that passed it.
for (const name of unavailable.keys()) {
  it.skip(`chaos scenario ${name} cannot run on this machine`, () => {});
}
