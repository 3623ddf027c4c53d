import { timingSafeEqual } from 'node:crypto';
import { createMiddleware } from 'hono/factory';

import { type ApiKey, digestOf, type Scope } from '../../config/apiKey.ts';

/** What is known of a request once its key has been recognised. */
export type Caller = { Variables: { keyName: string } };

/** Lets in who bears one of the keys, to what that key is good for. Compares with every one, in constant time. */
export const requireApiKey = (keys: () => readonly ApiKey[]) =>
  createMiddleware<Caller>(async (c, next) => {
    const [, given = ''] = /^Bearer +(.*)$/i.exec(c.req.header('authorization') ?? '') ?? [];
    // Digests have one length, so that comparing them tells nothing of the keys, their lengths included.
    const digest = digestOf(given);
    const [match] = keys().filter(({ sha256 }) => timingSafeEqual(sha256, digest));
    if (match === undefined) {
      const message = 'Send a key as "Authorization: Bearer KEY"';
      return c.json({ message }, 401, { 'www-authenticate': 'Bearer' });
    }
    const scope = scopeOf(c.req.method, c.req.path);
    if (!match.scopes.includes(scope)) {
      return c.json({ message: `The key ${match.name} may not: it lacks the scope ${scope}` }, 403);
    }
    c.set('keyName', match.name);
    await next();
  });

/** What is not named wants the most. */
const scopeOf = (method: string, path: string): Scope => {
  // Dead letters whole, with their tokens.
  if (/^\/dead-letters\/export\/?$/.test(path)) return 'operate';
  if (method === 'GET' || method === 'HEAD') return 'read';
  const isSending = method === 'POST' && /^\/signals(?:\/|$)/.test(path);
  return isSending || method === 'PUT' ? 'enqueue' : 'operate';
};
