import type { Logger } from './logging.ts';

type Close = () => Promise<unknown>;

/** Opened in order, closed in reverse: nothing outlives what it depends on. */
export const createClosers = (logger: Logger) => {
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

type Termination = {
  closers: Closers;
  logger: Logger;
  /** After this long the process ends, whatever is still open: before the platform kills it. */
  timeoutMs: number;
};

/** Waits for SIGTERM or SIGINT, then closes everything, bounded. Resolves with the exit code. */
export const runUntilTerminated = async ({ closers, logger, timeoutMs }: Termination) => {
  const name = await new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  logger.info({ termination: name, timeoutMs }, 'Stopping');

  const deadline = new Promise<'late'>((resolve) => {
    setTimeout(() => resolve('late'), timeoutMs).unref();
  });
  const outcome = await Promise.race([closers.closeAll(), deadline]);
  if (outcome === 'late') {
    logger.error({ timeoutMs }, 'Not everything closed in time');
    return 1;
  }
  logger.info('Stopped');
  return 0;
};
