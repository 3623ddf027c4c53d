const HOUR_MS = 3_600_000;

/** A caller that died between its claim and its add holds the id no longer than this. */
export const PENDING_MS = 30_000;

/** Whoever asks about a skipped signal is told for as long as about a delivered one, and its duplicates. */
export const keepSkippedMsOf = (kept: { rememberMs: number; keepDeliveredMs: number }): number =>
  Math.max(kept.keepDeliveredMs, kept.rememberMs);

/** The hours, counted from 1970, of the last day: the present one first. */
export const hoursOfLastDay = (now: number): [number, ...number[]] => {
  const present = Math.floor(now / HOUR_MS);
  return [present, ...Array.from({ length: 24 }, (_, back) => present - back - 1)];
};
