import { isObject } from '../schemas/json.ts';
import { DEDUPE_WINDOW_MS, MAX_DEDUPE_WINDOW_MS, type SignalJob } from '../schemas/signalJob.ts';

/** By what a signal that was settled is known again, and until when, in ms since the epoch. */
export type DedupeRecord = { contentId: string; until: number };

export const isDedupeWindowMs = (value: unknown): value is number =>
  typeof value === 'number' &&
  Number.isSafeInteger(value) &&
  value >= 1 &&
  value <= MAX_DEDUPE_WINDOW_MS;

// `rememberMs` is the name that builds before version 4 of the job used.
type StoredFields = { [field in keyof SignalJob | 'rememberMs']?: unknown };

/** Reads no more of a job than that: it is asked of each that completes. Anything may stand there. */
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

/** For how much longer, in whole ms, as Redis wants it; 0: no more. */
export const msLeft = (until: number, now: number): number =>
  Math.max(0, Math.trunc(until - now)) || 0;

const ACCEPTED = 'accepted';

/** Under `PREFIX:dedupe:ID`; the content only where it has another id. */
export const dedupeText = (signalId: string, contentId: string): string =>
  contentId === signalId ? ACCEPTED : `${ACCEPTED} ${contentId}`;

/** The content, if it is remembered. */
export const readDedupeText = (signalId: string, text: string): string | undefined => {
  const [standing, contentId = signalId] = text.split(' ');
  return standing === ACCEPTED ? contentId : undefined;
};

const HOUR_MS = 3_600_000;

/** A caller that died between its claim and its add holds the id no longer than this. */
export const PENDING_MS = 30_000;

/** Whoever asks about a skipped signal is told for as long as about a delivered one, and its duplicates. */
export const skipRecordTtl = (kept: { dedupeWindowMs: number; keepDeliveredMs: number }): number =>
  Math.max(kept.keepDeliveredMs, kept.dedupeWindowMs);

/** The hours, counted from 1970, of the last day: the present one first. */
export const hoursOfLastDay = (now: number): [number, ...number[]] => {
  const present = Math.floor(now / HOUR_MS);
  return [present, ...Array.from({ length: 24 }, (_, back) => present - back - 1)];
};
