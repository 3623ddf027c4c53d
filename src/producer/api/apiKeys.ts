import { createHash, timingSafeEqual } from 'node:crypto';
import { createMiddleware } from 'hono/factory';

import type { ApiKey } from '../../config.ts';

/** What is known of a request once its key has been recognised. */
export type Caller = { Variables: { keyName: string } };

// Digests have one length, so that comparing them tells nothing of the keys, their lengths included.
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Lets in who bears one of the keys. Compares with every one of them, in constant time. */
export const requireApiKey = (keys: readonly ApiKey[]) => {
  const known = keys.map(({ name, key }) => ({ name, hash: digest(key) }));

  return createMiddleware<Caller>(async (c, next) => {
    const [, given = ''] = /^Bearer +(.*)$/i.exec(c.req.header('authorization') ?? '') ?? [];
    const hash = digest(given);
    const [match] = known.filter((entry) => timingSafeEqual(entry.hash, hash));
    if (match === undefined) {
      const message = 'Send a key as "Authorization: Bearer KEY"';
      return c.json({ message }, 401, { 'www-authenticate': 'Bearer' });
    }
    c.set('keyName', match.name);
    await next();
  });
};
