import { createLogger } from '../../src/observability/logger.ts';

/** The project's logger, writing to memory. `text` is what a log file would contain, byte for byte. */
export const captureLogs = (level = 'trace') => {
  const written: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => written.push(line) } });

  return {
    logger,
    text: () => written.join(''),
    lines: (): Record<string, unknown>[] => written.map((line) => JSON.parse(line)),
  };
};
