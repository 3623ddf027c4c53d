import { isObject } from '../schemas/json.ts';
import { DEDUPE_WINDOW_MS, MAX_DEDUPE_WINDOW_MS, type SignalJob } from '../schemas/signalJob.ts';

/** Identifies a duplicate of a signal. `until`: the end of its dedupe window, in ms since the epoch. */
export type DedupeRecord = { contentId: string; until: number };

export const isDedupeWindowMs = (value: unknown): value is number =>
  typeof value === 'number' &&
  Number.isSafeInteger(value) &&
  value >= 1 &&
  value <= MAX_DEDUPE_WINDOW_MS;

// Jobs before version 4 hold the window as `rememberMs`.
type StoredFields = { [field in keyof SignalJob | 'rememberMs']?: unknown };

/**
 * Derives the dedupe record from the data of a job, whatever the data is. Does not parse the whole job:
 * it runs for every job that completes.
 */
export const dedupeRecordOf = (
  signalId: string,
  data: unknown,
  acceptedAt: number,
): DedupeRecord => {
  const {
    contentId,
    rememberMs,
    dedupeWindowMs = rememberMs,
  }: StoredFields = isObject(data) ? data : {};
  return {
    contentId: typeof contentId === 'string' ? contentId : signalId,
    until: acceptedAt + (isDedupeWindowMs(dedupeWindowMs) ? dedupeWindowMs : DEDUPE_WINDOW_MS),
  };
};

/** The time left, in whole ms as Redis requires; 0 if it is over. */
export const msLeft = (until: number, now: number): number =>
  Math.max(0, Math.trunc(until - now)) || 0;

const ACCEPTED = 'accepted';

/** The text of a dedupe record. It names the content only if the content has another id. */
export const dedupeText = (signalId: string, contentId: string): string =>
  contentId === signalId ? ACCEPTED : `${ACCEPTED} ${contentId}`;

/** The content id. `undefined` unless the record says that the signal was accepted. */
export const readDedupeText = (signalId: string, text: string): string | undefined => {
  const [status, contentId = signalId] = text.split(' ');
  return status === ACCEPTED ? contentId : undefined;
};

const HOUR_MS = 3_600_000;

/** How long a caller may take to enqueue a signal whose id it has reserved or reopened. */
export const PENDING_MS = 30_000;

/** Skipped signals stay queryable as long as delivered ones, and at least for the dedupe window. */
export const skipRecordTtl = (options: {
  dedupeWindowMs: number;
  keepDeliveredMs: number;
}): number => Math.max(options.keepDeliveredMs, options.dedupeWindowMs);

/** The hours of the last day, counted from 1970, the current one first. */
export const hoursOfLastDay = (now: number): [number, ...number[]] => {
  const current = Math.floor(now / HOUR_MS);
  return [current, ...Array.from({ length: 24 }, (_, back) => current - back - 1)];
};
