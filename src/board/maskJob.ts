import { isObject } from '../schemas/json.ts';

/**
 * What of a job may be seen. Signals carry seek tokens, and a job that we could not read can carry
 * anything, anywhere: so strings are hidden unless the name above them is known to be harmless.
 */
const SHOWN = new Set([
  ...['typeCode', 'label', 'timestamp', 'candidateApplicationProfileId', 'positionProfileIds'],
  ...['version', 'contentId', 'acceptedAt', 'acceptedFrom', 'redrivenAt', 'redriveOf'],
  ...['nextAttemptAt', 'at', 'requestId', 'outcome', 'code', 'reason'],
  ...['signalId', 'jobId', 'diedAt', 'id', 'status', 'phase', 'applicationId'],
  ...['source', 'receivedAt', 'traceparent', 'traceId'],
  // How a job's options name a strategy: {"backoff": {"type": "seek"}}.
  'type',
]);

const SECRET = /token|secret|authorization|password|cookie|api-?key/i;

/** Shorter strings are no secrets, and cutting them out would shred the text around them. */
const SHORTEST_SECRET = 4;

type Sight = 'shown' | 'hidden' | 'secret';
type Visit = Record<'shown' | 'hidden', (text: string) => string>;

const sightOf = (name: string, above: Sight): Sight => {
  if (above === 'secret' || SECRET.test(name)) return 'secret';
  return SHOWN.has(name) ? 'shown' : 'hidden';
};

const walk = (value: unknown, visit: Visit, sight: Sight = 'hidden'): unknown => {
  if (typeof value === 'string') return visit[sight === 'shown' ? 'shown' : 'hidden'](value);
  if (typeof value === 'number' && sight === 'secret') return visit.hidden(String(value));
  if (Array.isArray(value)) return value.map((item) => walk(item, visit, sight));
  if (!isObject(value)) return value;

  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      visit.shown(key),
      walk(inner, visit, sightOf(key, sight)),
    ]),
  );
};

const mask = (text: string) => `[masked: length ${text.length}]`;

/** What was hidden in the content, longest first, in each spelling in which an error may quote it. */
const secretsOf = (content: unknown): string[] => {
  const found = new Set<string>();
  const remember = (text: string) => {
    for (const spelling of [text, text.trim(), JSON.stringify(text).slice(1, -1)]) {
      if (spelling.length >= SHORTEST_SECRET) found.add(spelling);
    }
    return text;
  };
  walk(content, { shown: (text) => text, hidden: remember });

  return [...found].sort((one, other) => other.length - one.length);
};

const cutter = (secrets: string[]) => (text: string) =>
  secrets
    .reduce((cut, secret) => cut.replaceAll(secret, '[masked]'), text)
    .replace(/\bBearer\s+\S+/gi, 'Bearer [masked]');

/** The fields of Bull Board's job that somebody else filled. The others are BullMQ's own words. */
const CONTENT = ['data', 'returnValue', 'progress', 'opts'];

/** A job as Bull Board answers it, safe to show; what its content hides is cut out of its errors too. */
export const maskJob = (job: unknown): Record<string, unknown> => {
  if (!isObject(job)) return {};
  const cut = cutter(secretsOf(CONTENT.map((field) => job[field])));

  const masked = Object.entries(job).map(([field, value]) => [
    field,
    walk(value, { shown: cut, hidden: CONTENT.includes(field) ? mask : cut }),
  ]);
  // The page asks for the job by its id, which is no secret: it stands in the address.
  return { ...Object.fromEntries(masked), id: job.id };
};

/** Settings: they hold no signal. */
export const maskSettings = (settings: unknown): Record<string, unknown> => {
  const masked = walk(settings, { shown: cutter([]), hidden: mask });
  return isObject(masked) ? masked : {};
};

/** Log lines of a job with this data; of a job that is gone we do not know what to hide, so all. */
export const maskLogs = (lines: unknown, data: unknown): string[] => {
  const cut = data === undefined ? mask : cutter(secretsOf(data));
  return Array.isArray(lines) ? lines.map((line) => cut(String(line))) : [];
};
