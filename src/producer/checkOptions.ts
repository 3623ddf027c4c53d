import { identifierProblem, prefixProblem, textProblem } from '../config/text.ts';
import { redisUrlProblems } from '../config/urls.ts';
import { isDedupeWindowMs } from '../queue/dedupeWindow.ts';
import { parseTokenKey } from '../runtime/tokenCipher.ts';
import { MAX_SIGNAL_BYTES_RANGE } from '../schemas/signal.ts';

/** Returns the problems of a value that is given. Each continues a sentence that begins with its name. */
type Check = (value: unknown) => readonly (string | undefined)[];

const text =
  (problemsOf: (given: string) => readonly (string | undefined)[]): Check =>
  (value) =>
    typeof value === 'string' ? problemsOf(value) : ['must be a string'];

const wholeNumber =
  (min: number, max: number): Check =>
  (value) => [
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? undefined
      : `must be a whole number from ${min} to ${max}`,
  ];

const senderName = text((given) => [given === '' ? 'must not be empty' : textProblem(given)]);
const isSentinel = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  'host' in value &&
  'port' in value &&
  /^[\w.:-]+$/.test(String(value.host)) &&
  wholeNumber(1, 65_535)(value.port)[0] === undefined;

const CHECKS: Record<string, Check> = {
  redisUrl: text((given) => {
    const problem = textProblem(given);
    return problem === undefined ? redisUrlProblems(given) : [problem];
  }),
  sentinels: (value) => [
    Array.isArray(value) && value.every(isSentinel)
      ? undefined
      : 'must be a list of { host, port }',
  ],
  waitReplicas: wholeNumber(0, 100),
  queuePrefix: text((given) => [prefixProblem(given)]),
  name: senderName,
  dedupeWindowMs: (value) => [
    isDedupeWindowMs(value)
      ? undefined
      : 'must be a whole number of milliseconds, from 1 to 366 days',
  ],
  maxSignalBytes: wholeNumber(MAX_SIGNAL_BYTES_RANGE.min, MAX_SIGNAL_BYTES_RANGE.max),
  seekTokenTtlDays: wholeNumber(1, 3_650),
  tokenEncryptionKeys: (value) => [
    Array.isArray(value) && value.every((key) => parseTokenKey(String(key)) !== undefined)
      ? undefined
      : 'must be 32 bytes each, in base64',
  ],
  seekAudience: text((given) => [identifierProblem(given)]),
};

/** Throws a `TypeError` that lists every problem of the options, one per line. It repeats no value. */
export const checkOptions = (options: Readonly<Record<string, unknown>>): void => {
  const problems = Object.entries(options).flatMap(([name, value]) =>
    (CHECKS[name]?.(value) ?? []).flatMap((problem) =>
      problem === undefined ? [] : [`${name} ${problem}`],
    ),
  );
  if (problems.length > 0) throw new TypeError(problems.join('\n'));
};
