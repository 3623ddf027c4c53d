import { MIN_SECRET_LENGTH } from '../observability/redact.ts';
import { isObject } from '../schemas/json.ts';

/**
 * The fields of a job whose text is shown. Signals hold seek tokens, and an unreadable job can hold anything
 * anywhere. So a string is masked unless the name of its field is listed here.
 */
const SHOWN = new Set([
  'acceptedAt',
  'acceptedFrom',
  'applicationId',
  'at',
  'candidateApplicationProfileId',
  'code',
  'contentId',
  'diedAt',
  'id',
  'jobId',
  'label',
  'nextAttemptAt',
  'outcome',
  'phase',
  'positionId',
  'positionProfileIds',
  'reason',
  'receivedAt',
  'redriveOf',
  'redrivenAt',
  'requestId',
  'signalId',
  'source',
  'status',
  'timestamp',
  'traceId',
  'traceparent',
  'typeCode',
  'version',
  // The options of a job name a strategy by it: {"backoff": {"type": "seek"}}.
  'type',
]);

const SECRET = /token|secret|authorization|password|cookie|api-?key/i;

type Visibility = 'shown' | 'hidden' | 'secret';
type Visitor = Record<'shown' | 'hidden', (text: string) => string>;

const visibilityOf = (name: string, parent: Visibility): Visibility => {
  if (parent === 'secret' || SECRET.test(name)) return 'secret';
  return SHOWN.has(name) ? 'shown' : 'hidden';
};

const walk = (value: unknown, visitor: Visitor, visibility: Visibility = 'hidden'): unknown => {
  if (typeof value === 'string') return visitor[visibility === 'shown' ? 'shown' : 'hidden'](value);
  if (typeof value === 'number' && visibility === 'secret') return visitor.hidden(String(value));
  if (Array.isArray(value)) return value.map((item) => walk(item, visitor, visibility));
  if (!isObject(value)) return value;

  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      visitor.shown(key),
      walk(inner, visitor, visibilityOf(key, visibility)),
    ]),
  );
};

const mask = (text: string) => `[masked: length ${text.length}]`;

/** The masked texts of the content, in each spelling in which an error may quote them; the longest first. */
const secretsOf = (content: unknown): string[] => {
  const found = new Set<string>();
  const collect = (text: string) => {
    for (const spelling of [text, text.trim(), JSON.stringify(text).slice(1, -1)]) {
      if (spelling.length >= MIN_SECRET_LENGTH) found.add(spelling);
    }
    return text;
  };
  walk(content, { shown: (text) => text, hidden: collect });

  return [...found].sort((one, other) => other.length - one.length);
};

const createRedactor = (secrets: string[]) => (text: string) =>
  secrets
    .reduce((redacted, secret) => redacted.replaceAll(secret, '[masked]'), text)
    .replace(/\bBearer\s+\S+/gi, 'Bearer [masked]');

/** The fields of Bull Board's job that signals or handlers fill. BullMQ writes the others. */
const CONTENT = ['data', 'returnValue', 'progress', 'opts'];

/** A job as Bull Board returns it, masked. Secrets of its content are also removed from its error texts. */
export const maskJob = (job: unknown): Record<string, unknown> => {
  if (!isObject(job)) return {};
  const redact = createRedactor(secretsOf(CONTENT.map((field) => job[field])));

  const masked = Object.entries(job).map(([field, value]) => [
    field,
    walk(value, { shown: redact, hidden: CONTENT.includes(field) ? mask : redact }),
  ]);
  // The page requests the job by its id, which is part of the address and not a secret.
  return { ...Object.fromEntries(masked), id: job.id };
};

/** Masks settings of a queue, which hold no signal. */
export const maskSettings = (settings: unknown): Record<string, unknown> => {
  const masked = walk(settings, { shown: createRedactor([]), hidden: mask });
  return isObject(masked) ? masked : {};
};

/** Masks log lines by the data of their job. If the job is gone, its secrets are unknown, so whole lines are masked. */
export const maskLogs = (lines: unknown, data: unknown): string[] => {
  const redact = data === undefined ? mask : createRedactor(secretsOf(data));
  return Array.isArray(lines) ? lines.map((line) => redact(String(line))) : [];
};
