import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { isMaskedToken } from './redact.ts';

// The last line of defence: what is logged should hold no secret in the first place. A wildcard
// stands for exactly one level, so each depth needs its own path.
const SECRET_FIELDS = ['token', 'access_token', 'client_secret', 'authorization', 'password'];
const redact = {
  paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]),
  // A token that was described already may be told of.
  censor: (value: unknown) =>
    typeof value === 'string' && isMaskedToken(value) ? value : '[Redacted]',
};

// An error of ioredis carries the command that failed, and with it the signal: name its parts.
const describeError = (err: unknown) =>
  typeof err === 'object' && err !== null && 'message' in err
    ? {
        type: 'name' in err ? err.name : undefined,
        // A SyntaxError quotes what it could not parse.
        message: 'name' in err && err.name === 'SyntaxError' ? 'not JSON' : err.message,
        code: 'code' in err ? err.code : undefined,
        stack: 'stack' in err ? placesOf(err.stack) : undefined,
      }
    : { message: String(err) };

// Without the message, which a stack repeats.
const placesOf = (stack: unknown): string =>
  String(stack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');

type Options = { level: string; destination?: DestinationStream };

/** JSON lines on standard output; readable ones on a terminal. */
export const createLogger = ({ level, destination }: Options): Logger =>
  pino(
    {
      level,
      base: null,
      redact,
      serializers: { err: describeError },
      messageKey: 'msg',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? (level === 'silent' ? NOWHERE : standardOutput()),
  );

const standardOutput = (): DestinationStream =>
  process.stdout.isTTY
    ? pretty({ colorize: true, translateTime: 'HH:MM:ss.l', singleLine: true, sync: true })
    : inPortions();

const NOWHERE: DestinationStream = { write: () => {} };

// A write for each line is what a signal would cost most. What a process that is killed has not written
// is its last tenth of a second.
const inPortions = (): DestinationStream => {
  const destination = pino.destination({
    ...{ dest: 1, sync: true, minLength: 4_096, periodicFlush: 100 },
  });
  process.on('exit', () => destination.flushSync());
  return destination;
};

export type { Logger };

/**
 * For what recurs and is to be told of once in `everyMs`: whether it is to be told now. By a clock that
 * is never set back, or nothing would be told for as long.
 */
export const createThrottle = (
  everyMs: number,
  now: () => number = () => performance.now(),
): (() => boolean) => {
  let quietUntil = Number.NEGATIVE_INFINITY;
  return () => {
    if (now() < quietUntil) return false;
    quietUntil = now() + everyMs;
    return true;
  };
};
