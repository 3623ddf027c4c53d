// npm run test:chaos -- [--short] [--only NAME] [--seed N], and whatever else jest takes.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, tokens } = parseArgs({
  options: { short: { type: 'boolean' }, only: { type: 'string' }, seed: { type: 'string' } },
  ...{ strict: false, allowPositionals: true, tokens: true },
});
const ours = new Set(['short', 'only', 'seed']);
const passedOn = tokens.flatMap((token) => {
  if (token.kind === 'positional') return [token.value];
  if (token.kind !== 'option' || ours.has(token.name)) return [];
  return [token.value === undefined ? token.rawName : `${token.rawName}=${token.value}`];
});

// biome-ignore lint/style/noProcessEnv: handed on to the tests, with what was asked for on top.
const env = { ...process.env };
if (values.short) env.CHAOS_SHORT = '1';
if (typeof values.only === 'string') env.CHAOS_ONLY = values.only;
if (typeof values.seed === 'string') env.CHAOS_SEED = values.seed;

// Everything is reported when jest is made to exit. Left to itself, Node may wait for ever for the end of
// a connection whose other side was killed. In one process, or the end of the report may be lost with it.
const jest = [
  ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
  fileURLToPath(new URL('../../node_modules/jest/bin/jest.js', import.meta.url)),
  ...['--config', fileURLToPath(new URL('jest.config.js', import.meta.url))],
  ...['--runInBand', '--forceExit'],
  ...passedOn,
];
const child = spawn(process.execPath, jest, { stdio: 'inherit', env });
// Whoever stops us stops the tests, and with them all that they have started.
for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => child.kill(name));
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
