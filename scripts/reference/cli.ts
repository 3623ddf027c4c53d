/** Renders docs/reference/cli.md from the help of the commands. */

import { anchorOf, code, page, sentence, table } from './markdown.ts';

/** The help of a command, as `seek-signals … --help` prints it. */
export type Help = (command: string[]) => Promise<string>;

type Line = { name: string; description: string };
type Command = {
  path: string[];
  usage: string;
  description: string;
  options: Line[];
  commands: Line[];
};

const INTRO = `\`seek-signals\` is the command of the package \`seek-signal-dispatcher\`. In a checkout, run \`npm run build\` and then \`npx seek-signals COMMAND\`. Let a supervisor run \`node dist/cli/main.js COMMAND\`, because \`npx\` does not forward SIGTERM.

- **Settings** come from environment variables. See [Configuration](configuration.md).
- **Queue.** With \`REDIS_URL\`, the commands access Redis. Without it, \`status\`, \`show\`, \`find\`, \`send\`, \`dead-letters\` and \`tokens expiring\` call a running \`seek-signals dev\`.
- **Output.** Results go to standard output, everything else to standard error. Long-running processes log to standard output. Use \`--json\` in scripts.
- **Exit codes.** 0: done. 1: failed. 2: wrong usage or configuration; all problems are listed at once.
- **Control characters** in data are printed as \`�\`, and escaped in JSON.`;

const NOTES: Record<string, string> = {
  dev: 'Runs the API, a worker and the board in one process. Without `REDIS_URL` it uses the embedded queue in `EMBEDDED_PATH`. Without `SEEK_CLIENT_ID` and `SEEK_CLIENT_SECRET` it also runs the simulator. It prints addresses, logins and a signal to try. Ctrl-C stops it and keeps the data.',
  demo: 'Sends sample signals of each type through a producer, the queue and a worker to the simulator, in a temporary folder. It shows a delivery, a retry, an expired partner token, a rejection and a redrive. The exit code is 1 if a signal does not end as expected.',
  api: 'See [HTTP API](http-api.md).',
  board: 'See [Monitoring](../operations/monitoring.md#the-board).',
  relay: 'See [Run the relay](../guides/outbox.md#run-the-relay).',
  simulator: 'See [Simulator](../operations/simulator.md).',
  send: 'See [Send a backlog](../operations/deployment.md#send-a-backlog).',
  find: 'Takes exactly one of the first four options.',
  check:
    'Checks configuration, Redis, credentials and clocks. Each line is ok, a warning or an error. The exit code is 1 after an error. `--playground` sends sample signals to SEEK’s Playground, which validates them and then rejects them: `FORBIDDEN` is the expected answer. One batch has an invalid row, and the finding shows how SEEK names it.',
  'dead-letters': 'See [Dead letters](../operations/dead-letters.md).',
  'tokens re-encrypt':
    'See [Rotate encryption keys](../operations/security.md#rotate-encryption-keys). The exit code is 0 when no token needs another key.',
  'outbox reconcile': 'See [Redis has lost data](../operations/runbook.md#redis-has-lost-data).',
};

export const renderCli = async (help: Help): Promise<string> => {
  const commands = await readCommands([], help);
  // Without this check, a build that does not start would write an empty page.
  if (commands.length === 1) {
    throw new Error(
      'Expected `seek-signals --help` to list commands, found none. Run it to see why.',
    );
  }
  const leaves = commands.filter(({ commands: inner }) => inner.length === 0);
  const index = leaves.map(({ path, description }) => [
    `[${code(path.join(' '))}](#${anchorOf(nameOf(path))})`,
    sentence(description),
  ]);

  return page([
    '<!-- Generated from the help of the commands by `npm run docs:reference`. Do not edit. -->',
    '# Command line',
    INTRO,
    table(['command', 'what it does'], index),
    ...commands.slice(1).map(renderCommand),
  ]);
};

/** A command and its subcommands, in the order of the help. */
const readCommands = async (path: string[], help: Help): Promise<Command[]> => {
  const command = readHelp(path, await help(path));
  const inner = await Promise.all(
    command.commands.map(({ name }) => readCommands([...path, name], help)),
  );
  return [command, ...inner.flat()];
};

const readHelp = (path: string[], text: string): Command => {
  const blocks = text.trim().split(/\n{2,}/);
  const [usage = '', description = ''] = blocks.map((block) => block.replace(/\s+/g, ' '));
  const linesOf = (title: string): Line[] =>
    readLines(blocks.find((block) => block.startsWith(`${title}:`)) ?? '');
  const commands = linesOf('Commands').map(({ name, ...line }) => ({
    name: name.split(' ')[0] ?? '',
    ...line,
  }));

  return {
    path,
    usage: usage.replace(/^Usage: /, ''),
    description,
    options: linesOf('Options').filter(({ name }) => !name.startsWith('-h, ')),
    commands: commands.filter(({ name }) => name !== 'help'),
  };
};

/** The two columns of a block of the help. A line with deeper indentation continues the line above. */
const readLines = (block: string): Line[] => {
  const lines: Line[] = [];
  for (const text of block.split('\n')) {
    const [, name, description = ''] = /^ {2}(\S.*?)(?: {2,}(.*))?$/.exec(text) ?? [];
    const above = lines.at(-1);
    if (name !== undefined) lines.push({ name, description });
    else if (above !== undefined) above.description = `${above.description} ${text.trim()}`.trim();
  }
  return lines;
};

const renderCommand = ({ path, usage, description, options, commands }: Command): string => {
  const note = NOTES[path.join(' ')];
  return [
    `${path.length === 1 ? '##' : '###'} ${code(nameOf(path))}`,
    sentence(description),
    ...(note === undefined ? [] : [note]),
    ...(commands.length > 0 ? [] : [`\`\`\`text\n${usage}\n\`\`\``]),
    ...(options.length === 0
      ? []
      : [
          table(
            ['option', 'meaning'],
            options.map(({ name, description: words }) => [code(name), sentence(words)]),
          ),
        ]),
  ].join('\n\n');
};

const nameOf = (path: string[]): string => `seek-signals ${path.join(' ')}`;
