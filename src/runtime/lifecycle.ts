import { constants } from 'node:os';
import type { Logger } from 'pino';

import { withDeadline } from './async.ts';

type Log = Pick<Logger, 'info' | 'error' | 'fatal'>;
type Close = () => Promise<unknown>;

/** Opened in order, closed in reverse: nothing outlives what it depends on. */
export const createClosers = (logger: Pick<Log, 'error'>) => {
  const opened: { name: string; close: Close }[] = [];
  let closing: Promise<void> | undefined;

  const closeInReverse = async () => {
    for (const { name, close } of opened.toReversed()) {
      try {
        await close();
      } catch (err) {
        logger.error({ err, name }, 'Close failed');
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
 * Resolves at SIGTERM or SIGINT. A second one ends the process at once: by ourselves, for without a
 * listener a container's first process would never hear of either.
 */
export const terminated = (exit = (code: number): unknown => process.exit(code)) =>
  new Promise<NodeJS.Signals>((resolve) => {
    let isSecond = false;
    const onTermination = (name: NodeJS.Signals) => {
      // As a shell would put it.
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
  /** Listened for since before anything was opened. */
  termination: Promise<NodeJS.Signals>;
  /** After this long the process ends, whatever is still open: before the platform kills it. */
  timeoutMs: number;
  /** Resolves, with the reason, where it turns out later that the process should not have started. */
  unfit?: Promise<string>;
};

// What a ConfigError at start comes to.
const UNFIT = 2;

/**
 * Waits for termination, or for news that make the process unfit, then closes everything, bounded.
 * Resolves with the exit code.
 */
export const runUntilTerminated = async ({
  closers,
  logger,
  termination,
  timeoutMs,
  unfit = new Promise(() => {}),
}: Stop): Promise<number> => {
  const end = await Promise.race([
    termination.then((name) => ({ code: 0, name })),
    unfit.then((reason) => ({ code: UNFIT, reason })),
  ]);
  if ('reason' in end) logger.fatal({ reason: end.reason }, 'Unfit to run');
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
