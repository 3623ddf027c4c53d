import { isObject } from '../schemas/isObject.ts';
import { MOST_REMEMBER_MS, REMEMBER_MS, type SignalJob } from '../schemas/signalJob.ts';

/** By what a signal that was settled is known again, and until when, in ms since the epoch. */
export type Memory = { contentId: string; until: number };

export const isRememberMs = (value: unknown): value is number =>
  typeof value === 'number' &&
  Number.isSafeInteger(value) &&
  value >= 1 &&
  value <= MOST_REMEMBER_MS;

/** Reads no more of a job than that: it is asked of each that completes. Anything may stand there. */
export const memoryOf = (signalId: string, data: unknown, acceptedAt: number): Memory => {
  const { contentId, rememberMs }: { [field in keyof SignalJob]?: unknown } = isObject(data)
    ? data
    : {};
  return {
    contentId: typeof contentId === 'string' ? contentId : signalId,
    until: acceptedAt + (isRememberMs(rememberMs) ? rememberMs : REMEMBER_MS),
  };
};

/** For how much longer, in whole ms, as Redis wants it; 0: no more. */
export const msLeft = (until: number, now: number): number =>
  Math.max(0, Math.trunc(until - now)) || 0;

const ACCEPTED = 'accepted';

/** Under `PREFIX:ledger:remembered:ID`; the content only where it has another id. */
export const memoryText = (signalId: string, contentId: string): string =>
  contentId === signalId ? ACCEPTED : `${ACCEPTED} ${contentId}`;

/** The content, if it is remembered. */
export const readMemory = (signalId: string, text: string): string | undefined => {
  const [standing, contentId = signalId] = text.split(' ');
  return standing === ACCEPTED ? contentId : undefined;
};
