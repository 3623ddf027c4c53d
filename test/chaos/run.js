// npm run test:chaos -- [--short] [--only NAME] [--seed N] [options of jest]
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, tokens } = parseArgs({
  options: { short: { type: 'boolean' }, only: { type: 'string' }, seed: { type: 'string' } },
  strict: false,
  allowPositionals: true,
  tokens: true,
});
const own = new Set(['short', 'only', 'seed']);
const jestOptions = tokens.flatMap((token) => {
  if (token.kind === 'positional') return [token.value];
  if (token.kind !== 'option' || own.has(token.name)) return [];
  return [token.value === undefined ? token.rawName : `${token.rawName}=${token.value}`];
});

// biome-ignore lint/style/noProcessEnv: the tests inherit the environment, with the options added.
const env = { ...process.env };
if (values.short) env.CHAOS_SHORT = '1';
if (typeof values.only === 'string') env.CHAOS_ONLY = values.only;
if (typeof values.seed === 'string') env.CHAOS_SEED = values.seed;

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const args = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  path('../../node_modules/jest/bin/jest.js'),
  '--config',
  path('jest.config.js'),
  // In one process: a forced exit could otherwise cut off the end of the report.
  '--runInBand',
  // Node may wait without end for a connection whose other side was killed.
  '--forceExit',
  ...jestOptions,
];
const child = spawn(process.execPath, args, { stdio: 'inherit', env });
// Passed on, so that jest ends the processes that the tests started.
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
