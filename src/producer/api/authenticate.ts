import { timingSafeEqual } from 'node:crypto';
import { createMiddleware } from 'hono/factory';

import { type ApiKey, digestOf, type Scope } from '../../config/apiKey.ts';
import type { Logger } from '../../observability/logger.ts';
import { addressOf, createFailureThrottle } from '../../runtime/failureThrottle.ts';

/** Set on every request that passed `requireApiKey`. */
export type Caller = { Variables: { keyName: string } };

type Deps = { keys: () => readonly ApiKey[]; logger: Pick<Logger, 'warn'>; now?: () => number };

/**
 * Rejects requests without a valid key (401), or whose key lacks the required scope (403). An address that
 * sends many wrong keys gets 429. A valid key always passes: other clients may share the address of a proxy.
 */
export const requireApiKey = ({ keys, logger, now }: Deps) => {
  const throttle = createFailureThrottle(now);

  return createMiddleware<Caller>(async (c, next) => {
    const [, given = ''] = /^Bearer +(.*)$/i.exec(c.req.header('authorization') ?? '') ?? [];
    // Compares digests, with all keys and in constant time, so that the response time reveals nothing about
    // the keys, not even their length.
    const digest = digestOf(given);
    const [match] = keys().filter(({ sha256 }) => timingSafeEqual(sha256, digest));
    if (match === undefined) {
      const address = addressOf(c.env);
      const waitSeconds = given === '' ? undefined : throttle.waitSeconds(address);
      if (waitSeconds !== undefined) {
        const message = `Too many wrong keys from this address: try again in ${waitSeconds} s`;
        return c.json({ message }, 429, { 'retry-after': String(waitSeconds) });
      }
      // A request without a key guesses none.
      if (given !== '') {
        throttle.recordFailure(address);
        logger.warn({ path: c.req.path, address }, 'API key refused');
      }
      const message = 'Send a key as "Authorization: Bearer KEY"';
      return c.json({ message }, 401, { 'www-authenticate': 'Bearer' });
    }
    const scope = scopeOf(c.req.method, c.req.path);
    if (!match.scopes.includes(scope)) {
      return c.json({ message: `The key ${match.name} lacks the scope ${scope}` }, 403);
    }
    c.set('keyName', match.name);
    await next();
  });
};

/** The scope that a request requires. Every request that is not listed requires `operate`. */
const scopeOf = (method: string, path: string): Scope => {
  // An export contains seek tokens.
  if (/^\/dead-letters\/export\/?$/.test(path)) return 'operate';
  if (method === 'GET' || method === 'HEAD') return 'read';
  const isSending = method === 'POST' && /^\/(?:signals|identifiers)(?:\/|$)/.test(path);
  return isSending || method === 'PUT' ? 'enqueue' : 'operate';
};
