import { isObject } from '../schemas/isObject.ts';
import type { SignalJob } from '../schemas/signalJob.ts';

/** How long a signal is known again when nobody says otherwise. A job says so only if it is another time. */
export const REMEMBER_MS = 24 * 3_600_000;

/** By what a signal that was settled is known again, and until when, in ms since the epoch. */
export type Memory = { contentId: string; until: number };

/** Reads no more of a job than that: it is asked of each that completes. */
export const memoryOf = (signalId: string, data: unknown, acceptedAt: number): Memory => {
  const { contentId, rememberMs }: { [field in keyof SignalJob]?: unknown } = isObject(data)
    ? data
    : {};
  return {
    contentId: typeof contentId === 'string' ? contentId : signalId,
    until: acceptedAt + (typeof rememberMs === 'number' ? rememberMs : REMEMBER_MS),
  };
};

const ACCEPTED = 'accepted';

/** Under `PREFIX:ledger:remembered:ID`; the content only where it has another id. */
export const memoryText = (signalId: string, contentId: string): string =>
  contentId === signalId ? ACCEPTED : `${ACCEPTED} ${contentId}`;

/** The content, if it is remembered. */
export const readMemory = (signalId: string, text: string): string | undefined => {
  const [standing, contentId = signalId] = text.split(' ');
  return standing === ACCEPTED ? contentId : undefined;
};
