import { createHash, timingSafeEqual } from 'node:crypto';
import { IncomingMessage } from 'node:http';
import type { Context, MiddlewareHandler } from 'hono';
import { auth } from 'hono/utils/basic-auth';
import { isObject } from '../schemas/json.ts';

/** Somebody who may log in. */
export type Account = {
  username: string;
  password: string;
  /** May look, and do nothing. */
  readOnly: boolean;
};

/** As whom a redrive is noted. */
export const redriverOf = ({ username }: Pick<Account, 'username'>): string => `board:${username}`;

/** What the login tells whoever answers. */
export type LoggedIn = { Variables: { account: Account } };

type Deps = {
  accounts: readonly Account[];
  log: (fields: Record<string, unknown>, message: string) => void;
  now?: (() => number) | undefined;
};

const digest = (text: string) =>
  // RFC 7617 asks both sides for NFC: "é" is one code point on one keyboard and two on another.
  createHash('sha256').update(text.normalize('NFC')).digest();

const checkUsable = ({ username, password }: Account) => {
  if (username === '' || password === '') {
    throw new Error('The board needs a username and a password, and one of them is empty');
  }
  if (username.includes(':')) {
    throw new Error('The username of the board holds a ":", which HTTP Basic cannot transport');
  }
  if (/\p{Cc}/u.test(username + password)) {
    throw new Error('The login of the board holds a control character, such as a line break');
  }
};

/** Of whoever has the connection: a proxy, where there is one. What it says of others may be made up. */
const addressOf = (c: Context): string => {
  const env: unknown = c.env;
  const incoming = isObject(env) ? env.incoming : undefined;
  return incoming instanceof IncomingMessage ? (incoming.socket.remoteAddress ?? '') : '';
};

/** HTTP Basic in front of everything. Throws for a login that no browser could send. */
export const createLogin = (deps: Deps): MiddlewareHandler<LoggedIn> => {
  deps.accounts.forEach(checkUsable);
  const known = deps.accounts.map((account) => ({
    account,
    username: digest(account.username),
    password: digest(account.password),
  }));
  const loginThrottle = createLoginThrottle(deps.now);

  return async (c, next) => {
    const address = addressOf(c);
    const waitSeconds = loginThrottle.waitSeconds(address);
    if (waitSeconds !== undefined) {
      c.header('Retry-After', String(waitSeconds));
      return c.json({ message: `Too many wrong logins: try again in ${waitSeconds} s.` }, 429);
    }
    const given = auth(c.req.raw);
    const username = digest(given?.username ?? '');
    const password = digest(given?.password ?? '');
    // All are always compared, and as digests: neither what was wrong nor its length shows in the time.
    const right = known.filter((one) => {
      const same = [
        timingSafeEqual(one.username, username),
        timingSafeEqual(one.password, password),
      ];
      return same.every(Boolean);
    });
    if (right[0] !== undefined) {
      c.set('account', right[0].account);
      return next();
    }

    // A browser's first request carries no login: not worth a line.
    if (given) {
      loginThrottle.note(address);
      deps.log({ path: c.req.path, address }, 'Board login refused');
    }
    c.header('WWW-Authenticate', 'Basic realm="SEEK signals", charset="UTF-8"');
    return c.json({ message: 'Log in with the username and password of the board.' }, 401);
  };
};

// A person who mistypes comes nowhere near it; a program that guesses comes nowhere with it.
const MOST = 20;
const WITHIN_MS = 60_000;
// Whoever has so many addresses has others to spare: those of the last minute are not worth more memory.
const MOST_ADDRESSES = 10_000;

/** Counts wrong logins by address. An address with too many of them has to wait, right or wrong. */
export const createLoginThrottle = (now: () => number = Date.now) => {
  let wrong = new Map<string, number[]>();

  const recent = (address: string): number[] =>
    (wrong.get(address) ?? []).filter((at) => at > now() - WITHIN_MS);

  return {
    /** For how many more seconds; `undefined`: it need not. */
    waitSeconds: (address: string): number | undefined => {
      const times = recent(address);
      const [first] = times.slice(-MOST);
      return times.length < MOST || first === undefined
        ? undefined
        : Math.max(1, Math.ceil((first + WITHIN_MS - now()) / 1_000));
    },
    note: (address: string): void => {
      if (wrong.size >= MOST_ADDRESSES) wrong = new Map();
      wrong.set(address, [...recent(address), now()]);
    },
  };
};
