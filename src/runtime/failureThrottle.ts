import { IncomingMessage } from 'node:http';

// Far more than typing errors need, and too few to guess a secret.
const MAX_FAILURES = 20;
const WINDOW_MS = 60_000;
// Bounds the memory. An attacker with this many addresses has more, so throttling by address would not stop it.
const MAX_ADDRESSES = 10_000;

/** Counts failed logins by address, and says how long an address with too many must wait. */
export const createFailureThrottle = (now: () => number = Date.now) => {
  let failures = new Map<string, number[]>();

  const recent = (address: string): number[] =>
    (failures.get(address) ?? []).filter((at) => at > now() - WINDOW_MS);

  return {
    /** The seconds that the address must still wait; `undefined` if it need not wait. */
    waitSeconds: (address: string): number | undefined => {
      const times = recent(address);
      const [first] = times.slice(-MAX_FAILURES);
      return times.length < MAX_FAILURES || first === undefined
        ? undefined
        : Math.max(1, Math.ceil((first + WINDOW_MS - now()) / 1_000));
    },
    recordFailure: (address: string): void => {
      if (failures.size >= MAX_ADDRESSES) failures = new Map();
      failures.set(address, [...recent(address), now()]);
    },
  };
};

/**
 * The address of the peer. Behind a proxy that is the proxy: a header that names the client could be forged.
 * `env`: what the HTTP server passes to the app.
 */
export const addressOf = (env: unknown): string => {
  const incoming =
    typeof env === 'object' && env !== null && 'incoming' in env ? env.incoming : undefined;
  return incoming instanceof IncomingMessage ? (incoming.socket.remoteAddress ?? '') : '';
};
