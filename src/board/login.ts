import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { auth } from 'hono/utils/basic-auth';
import { addressOf, createFailureThrottle } from '../runtime/failureThrottle.ts';

/** A login of the board. */
export type Account = {
  username: string;
  password: string;
  /** The account can view everything and change nothing. */
  readOnly: boolean;
};

/** How a signal record names the account that requested a redrive. */
export const redriverOf = ({ username }: Pick<Account, 'username'>): string => `board:${username}`;

/** The login sets `account` for the handlers behind it. */
export type LoggedIn = { Variables: { account: Account } };

type Deps = {
  accounts: readonly Account[];
  log: (fields: Record<string, unknown>, message: string) => void;
  now?: (() => number) | undefined;
};

const digest = (text: string) =>
  // RFC 7617 requires NFC of both sides: a keyboard may compose "é" as one code point or as two.
  createHash('sha256').update(text.normalize('NFC')).digest();

const checkUsable = ({ username, password }: Account) => {
  if (username === '' || password === '') {
    throw new Error('A login of the board has an empty username or password: set both');
  }
  if (username.includes(':')) {
    throw new Error(
      'A username of the board contains ":", which HTTP Basic cannot transport: choose another',
    );
  }
  if (/\p{Cc}/u.test(username + password)) {
    throw new Error(
      'A login of the board contains a control character, such as a line break: remove it',
    );
  }
};

/** Requires HTTP Basic for every request. Throws for an account whose login no browser could send. */
export const createLogin = (deps: Deps): MiddlewareHandler<LoggedIn> => {
  deps.accounts.forEach(checkUsable);
  const accounts = deps.accounts.map((account) => ({
    account,
    username: digest(account.username),
    password: digest(account.password),
  }));
  const loginThrottle = createFailureThrottle(deps.now);

  return async (c, next) => {
    const address = addressOf(c.env);
    const waitSeconds = loginThrottle.waitSeconds(address);
    if (waitSeconds !== undefined) {
      c.header('Retry-After', String(waitSeconds));
      return c.json({ message: `Too many failed logins: try again in ${waitSeconds} s.` }, 429);
    }
    const given = auth(c.req.raw);
    const username = digest(given?.username ?? '');
    const password = digest(given?.password ?? '');
    // Every account is compared, and as digests, so that timing reveals neither which part was wrong nor its length.
    const matches = accounts.filter((one) => {
      const same = [
        timingSafeEqual(one.username, username),
        timingSafeEqual(one.password, password),
      ];
      return same.every(Boolean);
    });
    if (matches[0] !== undefined) {
      c.set('account', matches[0].account);
      return next();
    }

    // A browser's first request has no login. That is not a failed login, so it is not logged.
    if (given) {
      loginThrottle.recordFailure(address);
      deps.log({ path: c.req.path, address }, 'Board login refused');
    }
    c.header('WWW-Authenticate', 'Basic realm="SEEK signals", charset="UTF-8"');
    return c.json({ message: 'Log in with the username and password of the board.' }, 401);
  };
};
