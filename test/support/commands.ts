import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { waitFor } from './waitFor.ts';

const PROJECT = new URL('../../', import.meta.url).pathname;

export type Env = Record<string, string>;

/** The commands as they are shipped, from a build of their own: `dist` may be somebody else's. */
export const buildCommands = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-build-'));
  await symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  await copyFile(join(PROJECT, 'package.json'), join(folder, 'package.json'));
  const compiler = join(PROJECT, 'node_modules/typescript/bin/tsc');
  const output = ['-p', join(PROJECT, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')];
  await promisify(execFile)(process.execPath, [compiler, ...output]);
  const scripts = 'queue/redis/lua';
  await cp(join(PROJECT, 'src', scripts), join(folder, 'dist', scripts), { recursive: true });

  const started: ChildProcess[] = [];
  const outputs: string[] = [];

  /** Runs in the build's folder, with these variables and no others. */
  const start = (args: string[], env: Env = {}, input?: string) => {
    const child = spawn(process.execPath, [join(folder, 'dist/cli/main.js'), ...args], {
      cwd: folder,
      env: { NO_COLOR: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.end(input);
    started.push(child);
    const written = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        written[stream] += text;
        outputs.push(text);
      });
    }
    const exited = once(child, 'close').then(([code]: unknown[]) => code);

    return {
      ...{ written, exited },
      isRunning: () => child.exitCode === null && child.signalCode === null,
      /** The first group of what it says, once it has said it. */
      says: (pattern: RegExp): Promise<string> =>
        waitFor(
          () => {
            const [all, group] = pattern.exec(written.stdout + written.stderr) ?? [];
            if (all === undefined && child.exitCode !== null) {
              throw new Error(`Exited ${child.exitCode}: ${written.stdout}${written.stderr}`);
            }
            return group ?? all;
          },
          // A process takes its time to start where many do.
          { what: `${args.join(' ')} to say ${pattern}`, timeoutMs: 45_000 },
        ),
      kill: (signal: NodeJS.Signals) => child.kill(signal),
      /** Its exit code, and how long it took. */
      end: async (signal: NodeJS.Signals = 'SIGTERM') => {
        const began = performance.now();
        child.kill(signal);
        return { code: await exited, ms: performance.now() - began };
      },
    };
  };

  return {
    ...{ folder, start },
    /** To its end. */
    run: async (args: string[], env: Env = {}) => {
      const { exited, written } = start(args, env);
      return { code: await exited, ...written };
    },
    /** What all of them have written. */
    output: () => outputs.join(''),
    stop: async (): Promise<void> => {
      for (const child of started) child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
};

export type Commands = Awaited<ReturnType<typeof buildCommands>>;
