import { CommanderError } from 'commander';
import { ConfigError } from '../config/config.ts';
import { messageOf } from '../runtime/errors.ts';
import { printMessage } from './io/output.ts';
import { createProgram } from './program.ts';

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;

/** Runs the command that `argv` names. Resolves with the exit code. */
export const runCommand = async (
  argv: string[],
  env: NodeJS.ProcessEnv,
  termination: Promise<NodeJS.Signals>,
): Promise<number> => {
  let code = DONE;
  try {
    await createProgram(env, termination, (done) => {
      code = done;
    }).parseAsync(argv);
    return code;
  } catch (err) {
    if (err instanceof CommanderError) return err.exitCode === 0 ? DONE : WRONG_USAGE;
    const lines = messageOf(err).split('\n');
    printMessage(...lines.map((line) => `seek-signals: ${line}`));
    return err instanceof ConfigError ? WRONG_USAGE : FAILED;
  }
};
