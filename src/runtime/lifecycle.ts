import { constants } from 'node:os';
import type { Logger } from 'pino';

import { withDeadline } from './async.ts';

type Log = Pick<Logger, 'info' | 'error' | 'fatal'>;
type Close = () => Promise<unknown>;

/** Closes resources in the reverse order of opening, so that none is used after it is closed. */
export const createClosers = (logger: Pick<Log, 'error'>) => {
  const opened: { name: string; close: Close }[] = [];
  let closing: Promise<void> | undefined;

  const closeInReverse = async () => {
    for (const { name, close } of opened.toReversed()) {
      try {
        await close();
      } catch (err) {
        logger.error({ err, name }, 'Failed to close');
      }
    }
  };

  return {
    add: (name: string, close: Close): void => {
      opened.push({ name, close });
    },
    closeAll: (): Promise<void> => {
      closing ??= closeInReverse();
      return closing;
    },
  };
};

export type Closers = ReturnType<typeof createClosers>;

/**
 * Resolves at SIGTERM or SIGINT. A second one ends the process at once. This function calls `exit`
 * itself, because the kernel ignores both signals for a container's first process without a listener.
 */
export const terminated = (exit = (code: number): unknown => process.exit(code)) =>
  new Promise<NodeJS.Signals>((resolve) => {
    let isSecond = false;
    const onTermination = (name: NodeJS.Signals) => {
      if (isSecond) exit(terminationExitCode(name));
      isSecond = true;
      resolve(name);
    };
    process.on('SIGTERM', onTermination);
    process.on('SIGINT', onTermination);
  });

/** The exit code that a shell reports for a process that a signal ended. */
export const terminationExitCode = (name: NodeJS.Signals): number => 128 + constants.signals[name];

type Run = {
  closers: Closers;
  logger: Log;
  /** The caller starts to listen before it opens anything, so that no signal is missed. */
  termination: Promise<NodeJS.Signals>;
  /** The process ends after this time even if a resource is still open, before the platform kills it. */
  timeoutMs: number;
  /**
   * Starts the process. Rejects if it cannot start. Resolves only if a startup check fails after the
   * start, with the reason.
   */
  run: () => Promise<string>;
};

/** What `run` returns if no startup check can fail after the start. */
export const noLaterFailure = (): Promise<never> => new Promise(() => {});

// The same exit code as for a ConfigError.
const FAILED_PRECONDITION_EXIT_CODE = 2;

/**
 * Runs a process until termination or a failed startup check, then closes everything within `timeoutMs`.
 * Resolves with the exit code. Termination ends the process whatever its start waits for.
 */
export const runUntilTerminated = async ({
  closers,
  logger,
  termination,
  timeoutMs,
  run,
}: Run): Promise<number> => {
  const closeAll = () =>
    withDeadline(closers.closeAll(), timeoutMs, () => new Error('Not closed in time'));
  const end = await Promise.race([
    termination.then((name) => ({ code: 0, name })),
    run().then((reason) => ({ code: FAILED_PRECONDITION_EXIT_CODE, reason })),
  ]).catch(async (err: unknown) => {
    await closeAll().catch(() => {});
    throw err;
  });
  if ('reason' in end) logger.fatal({ reason: end.reason }, 'Startup check failed');
  logger.info({ termination: 'name' in end ? end.name : undefined, timeoutMs }, 'Stopping');
  try {
    await closeAll();
    logger.info('Stopped');
    return end.code;
  } catch {
    logger.error({ timeoutMs }, 'Not everything closed in time');
    return end.code || 1;
  }
};
