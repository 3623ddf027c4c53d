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
      // The exit code that a shell reports for a process that a signal ended.
      if (isSecond) exit(128 + constants.signals[name]);
      isSecond = true;
      resolve(name);
    };
    process.on('SIGTERM', onTermination);
    process.on('SIGINT', onTermination);
  });

type Stop = {
  closers: Closers;
  logger: Log;
  /** The caller starts to listen before it opens anything, so that no signal is missed. */
  termination: Promise<NodeJS.Signals>;
  /** The process ends after this time even if a resource is still open, before the platform kills it. */
  timeoutMs: number;
  /** Resolves with the reason if a startup check fails after the start. */
  failedPrecondition?: Promise<string>;
};

// The same exit code as for a ConfigError.
const FAILED_PRECONDITION_EXIT_CODE = 2;

/**
 * Waits for termination or for a failed startup check, then closes everything within `timeoutMs`.
 * Resolves with the exit code.
 */
export const runUntilTerminated = async ({
  closers,
  logger,
  termination,
  timeoutMs,
  failedPrecondition = new Promise(() => {}),
}: Stop): Promise<number> => {
  const end = await Promise.race([
    termination.then((name) => ({ code: 0, name })),
    failedPrecondition.then((reason) => ({ code: FAILED_PRECONDITION_EXIT_CODE, reason })),
  ]);
  if ('reason' in end) logger.fatal({ reason: end.reason }, 'Startup check failed');
  logger.info({ termination: 'name' in end ? end.name : undefined, timeoutMs }, 'Stopping');
  try {
    await withDeadline(closers.closeAll(), timeoutMs, () => new Error('Not closed in time'));
    logger.info('Stopped');
    return end.code;
  } catch {
    logger.error({ timeoutMs }, 'Not everything closed in time');
    return end.code || 1;
  }
};
