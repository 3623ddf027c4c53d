#!/usr/bin/env node
import { CommanderError } from 'commander';
import { ConfigError } from '../config/config.ts';
import { messageOf } from '../runtime/errors.ts';
import { printable } from './io/terminal.ts';
import { createProgram } from './program.ts';

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;

const main = async (argv: string[], env: NodeJS.ProcessEnv): Promise<number> => {
  let code = DONE;
  try {
    await createProgram(env, (done) => {
      code = done;
    }).parseAsync(argv);
    return code;
  } catch (err) {
    if (err instanceof CommanderError) return err.exitCode === 0 ? DONE : WRONG_USAGE;
    const lines = messageOf(err).split('\n');
    process.stderr.write(lines.map((line) => `seek-signals: ${printable(line)}\n`).join(''));
    return err instanceof ConfigError ? WRONG_USAGE : FAILED;
  }
};

// biome-ignore lint/style/noProcessEnv: the only access to the environment; config.ts reads its values
process.exitCode = await main(process.argv, process.env);
// Ends the process also if something still keeps it open, such as a connection that cannot be closed.
process.stdout.write('', () => process.exit());
