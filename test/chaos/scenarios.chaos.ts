import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildCommands, type Commands } from '../support/commands.ts';

import { readOptions } from './options.ts';
import { type Result, runScenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';
import { schedule } from './schedule.ts';
import { describe as describeResult, drawTable } from './table.ts';

// Two cores. A scenario that waits for locks leaves them to others.
const CAPACITY = 4;

const options = readOptions();
const { only, short, seed } = options;
const chosen = SCENARIOS.filter(({ name, inShort }) =>
  only === undefined ? !short || inShort : name === only,
);
if (chosen.length === 0) {
  throw new Error(
    `No scenario ${only}; there are: ${SCENARIOS.map(({ name }) => name).join(', ')}`,
  );
}

const say = (text: string) => process.stdout.write(`${text}\n`);
const results: Result[] = [];
let commands: Commands;
let running: Map<string, Promise<Result>>;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seek-chaos-'));
  say(`seed ${seed}: npm run test:chaos -- --seed ${seed} repeats it`);
  commands = await buildCommands();
  running = schedule(chosen, CAPACITY, async (scenario) => {
    const result = await runScenario(scenario, { commands, options, folder });
    say(`${result.findings.length === 0 ? 'ok    ' : 'FAILED'} ${result.name} ${result.seconds} s`);
    results.push(result);
    return result;
  });
});

afterAll(async () => {
  await Promise.allSettled([...(running?.values() ?? [])]);
  await commands?.stop();
  // Logs are left of failures only; without one it is empty.
  await rmdir(folder).catch(() => {});
  say(`\nseed ${seed}\n${drawTable(results)}`);
});

// They all run at the same time; each is waited for in its turn.
it.each(chosen.map(({ name }) => name))('%s', async (name) => {
  const result = await running.get(name);

  if (result === undefined) throw new Error('Not run');
  if (result.findings.length > 0) {
    const failure = new Error(describeResult(result, seed));
    // Where in this file it was thrown says nothing.
    failure.stack = failure.message;
    throw failure;
  }
});
