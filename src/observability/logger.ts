import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { escapeUnprintable, printable, printableValue } from '../runtime/printable.ts';
import { boundText } from './boundValue.ts';
import { isMaskedToken } from './redact.ts';

// The last defence: a logged object should contain no secret in the first place. A wildcard matches
// exactly one level, so each depth needs its own path.
const SECRET_FIELDS = ['token', 'access_token', 'client_secret', 'authorization', 'password'];
const redact = {
  paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]),
  // `maskToken` has already replaced this token with a description.
  censor: (value: unknown) =>
    typeof value === 'string' && isMaskedToken(value) ? value : '[Redacted]',
};

// Servers write parts of messages.
const MAX_MESSAGE_LENGTH = 1_000;

// An error of ioredis contains the failed command, and with it the signal. Log only these fields.
const describeError = (err: unknown) =>
  typeof err === 'object' && err !== null && 'message' in err
    ? {
        type: 'name' in err ? err.name : undefined,
        // A SyntaxError quotes the text that it could not parse.
        message:
          'name' in err && err.name === 'SyntaxError'
            ? 'not JSON'
            : boundText(String(err.message), MAX_MESSAGE_LENGTH),
        code: 'code' in err ? err.code : undefined,
        stack: 'stack' in err ? framesOf(err.stack) : undefined,
      }
    : { message: boundText(String(err), MAX_MESSAGE_LENGTH) };

// A stack repeats the message; only its frames are safe to log.
const framesOf = (stack: unknown): string =>
  String(stack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');

type Options = { level: string; destination?: DestinationStream };

/** Logs JSON lines to standard output, or formatted lines to a terminal. */
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
    destination ?? (level === 'silent' ? NO_OUTPUT : standardOutput()),
  );

const standardOutput = (): DestinationStream =>
  process.stdout.isTTY
    ? prettyOutput(
        pretty({ colorize: true, translateTime: 'HH:MM:ss.l', singleLine: true, sync: true }),
      )
    : bufferedOutput();

/** Cleans each line before the terminal gets it with colours. A field may hold text of SEEK. */
export const prettyOutput = (terminal: DestinationStream): DestinationStream => ({
  write: (line) => {
    terminal.write(`${JSON.stringify(printableValue(JSON.parse(line), printable))}\n`);
  },
});

const NO_OUTPUT: DestinationStream = { write: () => {} };

// JSON leaves these as they are, and a terminal that shows the log may obey them.
const RAW = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/u;

/** Escapes them in a line of JSON, so that a parser reads the original text. */
export const escapeRaw = (line: string): string =>
  RAW.test(line) ? `${escapeUnprintable(line.trimEnd())}\n` : line;

// A write per line would be the largest cost of a signal. A process that is killed loses at most the lines
// of its last 100 ms.
const bufferedOutput = (): DestinationStream => {
  const destination = pino.destination({
    dest: 1,
    sync: true,
    minLength: 4_096,
    periodicFlush: 100,
  });
  process.on('exit', () => destination.flushSync());
  return {
    write: (line) => destination.write(escapeRaw(line)),
  };
};

export type { Logger };

/**
 * Returns a function that returns true at most once per `everyMs`. Used to rate-limit repeated log lines.
 * The clock must be monotonic: after a clock is set back, nothing would be logged for that long.
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
