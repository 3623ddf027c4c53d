import type { Command } from 'commander';

import { terminated } from '../runtime/lifecycle.ts';
import type { Output } from './commands/inspect.ts';
import type { FilterOptions } from './io/filterOptions.ts';

/** Takes a command's exit code down. */
export type Run = (code: Promise<number>) => Promise<void>;

/** `seek-signals dead-letters …` */
export const addDeadLetters = (program: Command, env: NodeJS.ProcessEnv, run: Run): void => {
  const deadLetters = program.command('dead-letters').description('manage the dead letters');
  const load = () => import('./commands/deadLetters.ts');
  const filtered = (command: Command): Command =>
    command
      .option('--code <code>', 'only with this error code')
      .option('--type <typeCode>', 'only of this signal type')
      .option('--since <date>', 'only from this time on')
      .option('--until <date>', 'only before this time')
      .option('--application <id>', 'only of signals that name this application')
      .option('--position <id>', 'only of signals that name this position profile')
      .option('--text <text>', 'only with this text in the id, type, code or reason')
      .option('--json', 'print JSON');
  const limited = (command: Command): Command =>
    filtered(command).option('--limit <n>', 'maximum number of dead letters');

  limited(deadLetters.command('list').description('list dead letters, newest first')).action(
    async (options: FilterOptions & Output) => run((await load()).list(env, options)),
  );
  filtered(
    deadLetters
      .command('counts')
      .description('count dead letters by code and type, most frequent first'),
  ).action(async (options: FilterOptions & Output) => run((await load()).counts(env, options)));
  deadLetters
    .command('show <signalId>')
    .description('show one dead letter with all its attempts')
    .option('--json', 'print JSON')
    .action(async (id: string, options: Output) => run((await load()).show(env, id, options)));
  limited(
    deadLetters
      .command('redrive [signalIds...]')
      .description('put dead letters back into the queue'),
  )
    .option('--dry-run', 'report what would be redriven or rejected, and change nothing')
    .option('--rate <n>', 'maximum number per second')
    .action(async (ids: string[], options: FilterOptions & Output & { dryRun?: boolean }) => {
      const termination = terminated();
      await run((await import('./commands/redrive.ts')).redrive(env, ids, options, termination));
    });
  limited(
    deadLetters
      .command('export [file]')
      .description(
        'export complete dead letters with their seek tokens, one per line; - writes standard output',
      ),
  ).action(async (file: string | undefined, options: FilterOptions) => {
    const termination = terminated();
    const { exportDeadLetters } = await import('./commands/transferDeadLetters.ts');
    await run(exportDeadLetters(env, file ?? '-', options, termination));
  });
  deadLetters
    .command('import <file>')
    .description('import exported dead letters; - reads standard input')
    .option('--json', 'print JSON')
    .action(async (file: string, options: Output) => {
      const termination = terminated();
      const { importDeadLetters } = await import('./commands/transferDeadLetters.ts');
      await run(importDeadLetters(env, file, options, termination));
    });
  deadLetters
    .command('discard <signalIds...>')
    .description('discard dead letters: their signals become skipped')
    .requiredOption('--reason <text>', 'stored with the signal')
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: Output & { reason: string }) =>
      run((await load()).discard(env, ids, options)),
    );
};
