import { Command } from 'commander';

import { terminationExitCode } from '../runtime/lifecycle.ts';
import { packageInfo } from '../runtime/packageInfo.ts';
import { printable } from '../runtime/printable.ts';
import type { CheckOptions } from './commands/check.ts';
import type { FindOptions } from './commands/find.ts';
import type { RedriveOptions } from './commands/redrive.ts';
import type { SendOptions } from './commands/send.ts';
import type { ExpiringOptions } from './commands/tokens.ts';
import type { FilterOptions } from './io/filterOptions.ts';
import type { OutputOptions } from './io/output.ts';

type Env = NodeJS.ProcessEnv;
type Termination = Promise<NodeJS.Signals>;
/** Waits for a command, and reports its exit code. SIGTERM and SIGINT end the command at once. */
type Run = ((code: Promise<number>) => Promise<void>) & {
  /** The same for a command that stops by itself after SIGTERM or SIGINT. */
  gracefully: (start: (termination: Termination) => Promise<number>) => Promise<void>;
};
/** Runs until SIGTERM or SIGINT, and resolves with the exit code of the process. */
type Process = (env: Env, termination: Termination) => Promise<number>;

/**
 * Defines every command with its options and help. Each command imports its code when it runs, so that a
 * worker does not load the board. `onDone` gets the exit code.
 */
export const createProgram = (
  env: Env,
  termination: Termination,
  onDone: (code: number) => void,
): Command => {
  const program = new Command('seek-signals')
    .description('Delivers recruitment signals to SEEK. Settings: see .env.example')
    .version(packageInfo.version)
    // An error of the usage quotes the arguments.
    .configureOutput({ outputError: (text, write) => write(printable(text)) })
    .exitOverride();
  const terminated = termination.then(terminationExitCode);
  const run: Run = Object.assign(
    async (code: Promise<number>) => onDone(await Promise.race([code, terminated])),
    {
      gracefully: async (start: (given: Termination) => Promise<number>) =>
        onDone(await start(termination)),
    },
  );
  addProcesses(program, env, run);
  addSignals(program, env, run);
  addCheck(program, env, run);
  addTokens(program, env, run);
  addDeadLetters(program, env, run);
  addOutbox(program, env, run);
  return program;
};

const addProcesses = (program: Command, env: Env, run: Run): void => {
  const processes: [string, string, () => Promise<Process>][] = [
    [
      'dev',
      'run everything in one terminal, for development',
      async () => (await import('./processes/dev.ts')).dev,
    ],
    ['api', 'run the HTTP API', async () => (await import('./processes/api.ts')).api],
    [
      'worker',
      'run a worker, which delivers signals to SEEK',
      async () => (await import('./processes/worker.ts')).worker,
    ],
    [
      'board',
      'run the board: status pages and Bull Board',
      async () => (await import('./processes/board.ts')).board,
    ],
    [
      'relay',
      'run a relay, which moves outbox rows into the queue',
      async () => (await import('./processes/relay.ts')).relay,
    ],
    [
      'simulator',
      'run the simulator, a stand-in for SEEK',
      async () => (await import('./processes/simulator.ts')).simulator,
    ],
  ];
  for (const [name, description, load] of processes) {
    program
      .command(name)
      .description(description)
      .action(async () => {
        const process = await load();
        await run.gracefully((given) => process(env, given));
      });
  }
  program
    .command('demo')
    .description('run a scripted demonstration')
    .action(async () => run((await import('./demo/demo.ts')).demo(env)));
};

const addSignals = (program: Command, env: Env, run: Run): void => {
  program
    .command('send <file>')
    .description('enqueue a file of signals, one per line; - reads standard input')
    .option('--rejects <path>', 'file for invalid lines; default: FILE.rejects')
    .option('--from-line <n>', 'first line to send', '1')
    .option('--json', 'print JSON')
    .action(async (file: string, options: SendOptions) => {
      const { send } = await import('./commands/send.ts');
      await run.gracefully((termination) => send(env, file, options, termination));
    });
  program
    .command('status')
    .description(
      'show counts by state, the oldest unsent signal, and whether delivery is suspended',
    )
    .option('--json', 'print JSON')
    .action(async (options: OutputOptions) =>
      run((await import('./commands/inspect.ts')).status(env, options)),
    );
  program
    .command('show <signalId>')
    .description('show the record of one signal')
    .option('--json', 'print JSON')
    .action(async (id: string, options: OutputOptions) =>
      run((await import('./commands/inspect.ts')).show(env, id, options)),
    );
  program
    .command('find')
    .description('find signals, most recently accepted first')
    .option('--request-id <id>', 'X-Request-Id of an attempt')
    .option('--application <id>', 'application that the signal names')
    .option('--position <id>', 'position, or position profile, that the signal names')
    .option('--idempotency-key <key>', 'Idempotency-Key that --from sent the signal with')
    .option('--from <name>', 'name of the API key, or of the application, that sent the signal')
    .option('--limit <n>', 'maximum number of results', '100')
    .option('--json', 'print JSON')
    .action(async (options: FindOptions) =>
      run((await import('./commands/find.ts')).find(env, options)),
    );
};

const addCheck = (program: Command, env: Env, run: Run): void => {
  program
    .command('check')
    .description('check the configuration, Redis, the credentials and the clocks')
    .option('--playground', 'send sample signals to SEEK’s Playground and check the answers')
    .option('--json', 'print JSON')
    .action(async (options: CheckOptions) =>
      run((await import('./commands/check.ts')).check(env, options)),
    );
};

const addTokens = (program: Command, env: Env, run: Run): void => {
  const tokens = program.command('tokens').description('manage the seek tokens of applications');
  tokens
    .command('expiring')
    .description('list applications whose seek token expires soon, earliest first')
    .option('--within <duration>', 'duration such as 14d, 12h or 30m', '14d')
    .option('--limit <n>', 'maximum number of results', '1000')
    .option('--json', 'print JSON')
    .action(async (options: ExpiringOptions) =>
      run((await import('./commands/tokens.ts')).expiring(env, options)),
    );
  tokens
    .command('re-encrypt')
    .description('encrypt every seek token in Redis with the first of TOKEN_ENCRYPTION_KEYS')
    .option('--json', 'print JSON')
    .action(async (options: OutputOptions) =>
      run((await import('./commands/tokens.ts')).reencrypt(env, options)),
    );
};

const addDeadLetters = (program: Command, env: Env, run: Run): void => {
  const deadLetters = program.command('dead-letters').description('manage the dead letters');
  const load = () => import('./commands/deadLetters.ts');

  withLimit(deadLetters.command('list').description('list dead letters, newest first')).action(
    async (options: FilterOptions & OutputOptions) => run((await load()).list(env, options)),
  );
  withFilter(
    deadLetters
      .command('counts')
      .description('count dead letters by code and type, most frequent first'),
  ).action(async (options: FilterOptions & OutputOptions) =>
    run((await load()).counts(env, options)),
  );
  deadLetters
    .command('show <signalId>')
    .description('show one dead letter with all its attempts')
    .option('--json', 'print JSON')
    .action(async (id: string, options: OutputOptions) =>
      run((await load()).show(env, id, options)),
    );
  addRedrive(deadLetters, env, run);
  addTransfer(deadLetters, env, run);
  deadLetters
    .command('discard <signalIds...>')
    .description('discard dead letters: their signals become skipped')
    .requiredOption('--reason <text>', 'stored with the signal')
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: OutputOptions & { reason: string }) =>
      run((await load()).discard(env, ids, options)),
    );
};

const withFilter = (command: Command): Command =>
  command
    .option('--code <code>', 'only with this error code')
    .option('--type <typeCode>', 'only of this signal type')
    .option('--since <date>', 'only from this time on')
    .option('--until <date>', 'only before this time')
    .option('--application <id>', 'only of signals that name this application')
    .option('--position <id>', 'only of signals that name this position or position profile')
    .option('--text <text>', 'only with this text in the id, type, code or reason')
    .option('--json', 'print JSON');

const withLimit = (command: Command): Command =>
  withFilter(command).option('--limit <n>', 'maximum number of dead letters');

const addRedrive = (deadLetters: Command, env: Env, run: Run): void => {
  withLimit(
    deadLetters
      .command('redrive [signalIds...]')
      .description('put dead letters back into the queue'),
  )
    .option('--dry-run', 'report what would be redriven or rejected, and change nothing')
    .option('--rate <n>', 'maximum number per second')
    .action(async (ids: string[], options: RedriveOptions) => {
      const { redrive } = await import('./commands/redrive.ts');
      await run.gracefully((termination) => redrive(env, ids, options, termination));
    });
};

const addTransfer = (deadLetters: Command, env: Env, run: Run): void => {
  const load = () => import('./commands/transferDeadLetters.ts');
  withLimit(
    deadLetters
      .command('export [file]')
      .description(
        'export complete dead letters with their seek tokens, one per line; - writes standard output',
      ),
  ).action(async (file: string | undefined, options: FilterOptions) => {
    const { exportDeadLetters } = await load();
    await run.gracefully((given) => exportDeadLetters(env, file ?? '-', options, given));
  });
  deadLetters
    .command('import <file>')
    .description('import exported dead letters; - reads standard input')
    .option('--json', 'print JSON')
    .action(async (file: string, options: OutputOptions) => {
      const { importDeadLetters } = await load();
      await run.gracefully((termination) => importDeadLetters(env, file, options, termination));
    });
};

const addOutbox = (program: Command, env: Env, run: Run): void => {
  const outbox = program
    .command('outbox')
    .description("manage the outbox in the ATS's own PostgreSQL");
  outbox
    .command('migrate')
    .description('create or upgrade the table of the outbox')
    .option('--print', 'print the SQL, and change nothing')
    .action(async (options: { print?: boolean }) =>
      run((await import('./commands/outbox.ts')).migrateOutbox(env, options)),
    );
  outbox
    .command('reconcile')
    .description('enqueue the signals again that Redis has lost')
    .option('--dry-run', 'report what would be enqueued, and change nothing')
    .option('--json', 'print JSON')
    .action(async (options: OutputOptions & { dryRun?: boolean }) => {
      const { reconcileOutbox } = await import('./commands/outbox.ts');
      await run.gracefully((termination) => reconcileOutbox(env, options, termination));
    });
};
