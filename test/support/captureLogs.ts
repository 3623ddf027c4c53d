import { createLogger } from '../../src/observability/logger.ts';

/** Our own logger, writing into memory: what a log file would hold, byte for byte. */
export const captureLogs = (level = 'trace') => {
  const written: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => written.push(line) } });

  return {
    logger,
    text: () => written.join(''),
    lines: (): Record<string, unknown>[] => written.map((line) => JSON.parse(line)),
  };
};
