#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config/config.ts';
import { messageOf } from '../runtime/errors.ts';
import { terminated } from '../runtime/lifecycle.ts';
import { packageInfo } from '../runtime/packageInfo.ts';
import type { FindOptions } from './commands/find.ts';
import type { Output } from './commands/inspect.ts';
import type { SendOptions } from './commands/send.ts';
import { addDeadLetters, type Run } from './deadLetterCommands.ts';
import { printable } from './io/terminal.ts';

type Env = NodeJS.ProcessEnv;
/** Runs until the process is told to stop; resolves with its exit code. */
type Long = (env: Env, termination: Promise<NodeJS.Signals>) => Promise<number>;

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;

// Each command's code is loaded only when it is asked for: a worker has no use for a board.
const createProgram = (env: Env, onDone: (code: number) => void): Command => {
  const program = new Command('seek-signals')
    .description('Delivers recruitment signals to SEEK. Settings: see .env.example')
    .version(packageInfo.version)
    .exitOverride();
  const run = async (code: Promise<number>) => onDone(await code);
  addProcesses(program, env, run);
  addSignals(program, env, run);
  addCheck(program, env, run);
  addTokens(program, env, run);
  addDeadLetters(program, env, run);
  addOutbox(program, env, run);
  return program;
};

const addProcesses = (program: Command, env: Env, run: Run): void => {
  const long: [string, string, () => Promise<Long>][] = [
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
  for (const [name, description, load] of long) {
    program
      .command(name)
      .description(description)
      .action(async () => {
        const termination = terminated();
        await run((await load())(env, termination));
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
      const termination = terminated();
      await run((await import('./commands/send.ts')).send(env, file, options, termination));
    });
  program
    .command('status')
    .description(
      'show counts by state, the oldest unsent signal, and whether delivery is suspended',
    )
    .option('--json', 'print JSON')
    .action(async (options: Output) =>
      run((await import('./commands/inspect.ts')).status(env, options)),
    );
  program
    .command('show <signalId>')
    .description('show the record of one signal')
    .option('--json', 'print JSON')
    .action(async (id: string, options: Output) =>
      run((await import('./commands/inspect.ts')).show(env, id, options)),
    );
  program
    .command('find')
    .description('find signals, most recently accepted first')
    .option('--request-id <id>', 'X-Request-Id of an attempt')
    .option('--application <id>', 'application that the signal names')
    .option('--position <id>', 'position profile that the signal names')
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
    .option(
      '--playground',
      'send one signal of each type to SEEK’s Playground and check the answers',
    )
    .option('--json', 'print JSON')
    .action(async (options: Output & { playground?: boolean }) =>
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
    .action(async (options: Output & { within: string; limit: string }) =>
      run((await import('./commands/tokens.ts')).expiring(env, options)),
    );
  tokens
    .command('re-encrypt')
    .description('encrypt every seek token in Redis with the first of TOKEN_ENCRYPTION_KEYS')
    .option('--json', 'print JSON')
    .action(async (options: Output) =>
      run((await import('./commands/tokens.ts')).reencrypt(env, options)),
    );
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
    .action(async (options: Output & { dryRun?: boolean }) => {
      const termination = terminated();
      const { reconcileOutbox } = await import('./commands/outbox.ts');
      await run(reconcileOutbox(env, options, termination));
    });
};

const main = async (argv: string[], env: Env): Promise<number> => {
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

// biome-ignore lint/style/noProcessEnv: the one place where the environment enters; config.ts reads it
process.exitCode = await main(process.argv, process.env);
// What still holds the process open by now, such as a connection that can't be closed, may not.
process.stdout.write('', () => process.exit());
