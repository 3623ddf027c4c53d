import { type ChildProcess, type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, rename, rm, rmdir, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';

import { hasCode } from '../../src/runtime/errors.ts';
import { waitFor } from './waitFor.ts';

const PROJECT = new URL('../../', import.meta.url).pathname;
const LUA_SCRIPTS = 'queue/redis/lua';
const BUILD_TIMEOUT_MS = 120_000;
// Several processes start at the same time on a busy machine.
const OUTPUT_TIMEOUT_MS = 45_000;

export type Env = Record<string, string>;

/** Builds the commands as they are shipped. Does not use `dist`, which may be older than `src`. */
export const buildCommands = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'seek-build-'));
  await symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  await copyFile(join(PROJECT, 'package.json'), join(folder, 'package.json'));
  // A copy: tests recognise their own processes by the folder.
  await cp(await sharedBuild(), join(folder, 'dist'), { recursive: true });

  const started: ChildProcess[] = [];
  const outputs: string[] = [];

  /** Starts a command in `folder`, with these variables and no others. */
  const start = (args: string[], env: Env = {}, input?: string) => {
    const child = spawn(process.execPath, [join(folder, 'dist/cli/main.js'), ...args], {
      cwd: folder,
      env: { NO_COLOR: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.end(input);
    started.push(child);
    return watchProcess(child, args, (text) => outputs.push(text));
  };

  return {
    folder,
    start,
    /** Runs a command to its end. */
    run: async (args: string[], env: Env = {}) => {
      const { exited, written } = start(args, env);
      return { code: await exited, ...written };
    },
    /** The output of all processes so far. */
    output: () => outputs.join(''),
    stop: async (): Promise<void> => {
      for (const child of started) child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
};

export type Commands = Awaited<ReturnType<typeof buildCommands>>;

const watchProcess = (
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  args: string[],
  onOutput: (text: string) => void,
) => {
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      written[stream] += text;
      onOutput(text);
    });
  }
  const exited = once(child, 'close').then(([code]: unknown[]) => code);

  return {
    written,
    exited,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    /** Waits until the output matches. Resolves with the first group, or else the whole match. */
    waitForOutput: (pattern: RegExp): Promise<string> =>
      waitFor(
        () => {
          const [match, group] = pattern.exec(written.stdout + written.stderr) ?? [];
          if (match === undefined && child.exitCode !== null) {
            throw new Error(`Exited ${child.exitCode}: ${written.stdout}${written.stderr}`);
          }
          return group ?? match;
        },
        { what: `output of ${args.join(' ')} to match ${pattern}`, timeoutMs: OUTPUT_TIMEOUT_MS },
      ),
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** Resolves with the exit code, and how long the process took to exit. */
    end: async (signal: NodeJS.Signals = 'SIGTERM') => {
      const began = performance.now();
      child.kill(signal);
      return { code: await exited, ms: performance.now() - began };
    },
  };
};

/** Compiles once per run of jest. Other test files wait for the one that compiles. */
const sharedBuild = async (): Promise<string> => {
  // biome-ignore lint/style/noProcessEnv: set by jestSetup.js, read here only.
  const folder = process.env.TEST_BUILD_FOLDER;
  if (folder === undefined) throw new Error('TEST_BUILD_FOLDER is not set: see jestSetup.js');
  const dist = join(folder, 'dist');
  const lock = join(folder, 'lock');

  const isBuilt = async (): Promise<boolean> => {
    if (existsSync(dist)) return true;
    try {
      await mkdir(lock);
    } catch (err) {
      if (hasCode(err, 'EEXIST')) return false;
      throw err;
    }
    try {
      // Another test file may have finished between the first check and the lock.
      if (!existsSync(dist)) await compile(dist);
      return true;
    } finally {
      // After a failure the next test file compiles again, and reports the same error.
      await rmdir(lock);
    }
  };
  await waitFor(isBuilt, { what: 'the build', timeoutMs: BUILD_TIMEOUT_MS, everyMs: 100 });
  return dist;
};

/** Moves the finished build to `dist`, so that no other test file sees a part of it. */
const compile = async (dist: string): Promise<void> => {
  const partial = `${dist}.partial`;
  const compiler = join(PROJECT, 'node_modules/typescript/bin/tsc');
  const config = join(PROJECT, 'tsconfig.build.json');
  await promisify(execFile)(process.execPath, [compiler, '-p', config, '--outDir', partial]);
  await cp(join(PROJECT, 'src', LUA_SCRIPTS), join(partial, LUA_SCRIPTS), { recursive: true });
  await rename(partial, dist);
};
