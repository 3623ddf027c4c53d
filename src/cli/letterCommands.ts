import type { Command } from 'commander';

import { terminated } from '../lifecycle.ts';
import type { Output } from './inspect.ts';
import type { FilterOptions } from './readFilter.ts';

/** Takes a command's exit code down. */
export type Run = (code: Promise<number>) => Promise<void>;

/** `seek-signals dead-letters …` */
export const addDeadLetters = (program: Command, env: NodeJS.ProcessEnv, run: Run): void => {
  const letters = program.command('dead-letters').description('signals that were given up');
  const load = () => import('./deadLetters.ts');
  const filtered = (command: Command): Command =>
    command
      .option('--code <code>', 'with this error code')
      .option('--type <typeCode>', 'of this type')
      .option('--since <date>', 'died at or after')
      .option('--until <date>', 'died before')
      .option('--application <id>', 'of signals that name it')
      .option('--position <id>', 'of signals that name this position profile')
      .option('--text <text>', 'that stands in its id, type, code or reason')
      .option('--json', 'for a program');
  const limited = (command: Command): Command =>
    filtered(command).option('--limit <n>', 'at most so many');

  limited(letters.command('list').description('newest first')).action(
    async (options: FilterOptions & Output) => run((await load()).list(env, options)),
  );
  filtered(letters.command('counts').description('how many of what, the most first')).action(
    async (options: FilterOptions & Output) => run((await load()).counts(env, options)),
  );
  letters
    .command('show <signalId>')
    .description('one letter, with all its attempts')
    .option('--json', 'for a program')
    .action(async (id: string, options: Output) => run((await load()).show(env, id, options)));
  limited(letters.command('redrive [signalIds...]').description('back into the queue'))
    .option('--dry-run', 'only say how many, which would be refused, and why')
    .option('--rate <n>', 'so many a second')
    .action(async (ids: string[], options: FilterOptions & Output & { dryRun?: boolean }) => {
      const termination = terminated();
      await run((await import('./redrive.ts')).redrive(env, ids, options, termination));
    });
  limited(
    letters
      .command('export [file]')
      .description('whole, one a line, with their seek tokens; - is standard output'),
  ).action(async (file: string | undefined, options: FilterOptions) => {
    const termination = terminated();
    const { exportLetters } = await import('./exportLetters.ts');
    await run(exportLetters(env, file ?? '-', options, termination));
  });
  letters
    .command('import <file>')
    .description('letters that were exported; - is standard input')
    .option('--json', 'for a program')
    .action(async (file: string, options: Output) => {
      const termination = terminated();
      const { importLetters } = await import('./importLetters.ts');
      await run(importLetters(env, file, options, termination));
    });
  letters
    .command('discard <signalIds...>')
    .description('let them go')
    .requiredOption('--reason <text>', 'kept with the signal')
    .option('--json', 'for a program')
    .action(async (ids: string[], options: Output & { reason: string }) =>
      run((await load()).discard(env, ids, options)),
    );
};
