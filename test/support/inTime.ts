/**
 * Added to promised times, for busy machines. Code without a time limit still fails such a test: it
 * waits minutes or longer for a silent peer.
 */
export const SLACK_MS = 15_000;
