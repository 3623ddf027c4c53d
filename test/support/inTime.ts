/**
 * Milliseconds that a busy machine may add to a time that was promised. What has no bound waits
 * for a silent peer for minutes or for good, and does not end within these either.
 */
export const SLACK_MS = 15_000;
