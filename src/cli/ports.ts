import { ConfigError } from '../config.ts';
import { hasCode } from '../hasCode.ts';
import type { Logger } from '../logging.ts';

type Start<Server> = (port: number) => Promise<Server>;

/** Takes `port`, or any free one if somebody else has it. */
export const onFreePort = async <Server>(
  start: Start<Server>,
  port: number,
  logger: Logger,
): Promise<Server> =>
  start(port).catch((err: unknown) => {
    if (!isTaken(err)) throw err;
    logger.warn({ port }, 'Port in use; taking another');
    return start(0);
  });

/** Takes `port`, or says by which variable it is to be changed. */
export const onPort = async <Server>(
  start: Start<Server>,
  port: number,
  variable: string,
): Promise<Server> =>
  start(port).catch((err: unknown) => {
    throw isTaken(err) ? new ConfigError(`${variable} ${port} is in use`) : err;
  });

const isTaken = (err: unknown): boolean => hasCode(err, 'EADDRINUSE');
