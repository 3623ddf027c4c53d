import { randomUUID } from 'node:crypto';

/** One token endpoint, two worlds: the audience tells them apart. */
export const AUDIENCES = {
  live: 'https://graphql.seek.com',
  playground: 'https://test.graphql.seek.com',
} as const;

export type Audience = keyof typeof AUDIENCES;

export type AccessTokens = {
  issue: (audience: Audience, expiresIn: number) => string;
  /** The audience a token was issued for, if it was, and still counts. */
  audienceOf: (token: string) => Audience | undefined;
  /** How many were issued, ever. */
  issued: () => number;
  /** From now on none of the tokens issued so far counts. */
  expireAll: () => void;
};

export const createAccessTokens = ({ now }: { now: () => number }): AccessTokens => {
  const held = new Map<string, { audience: Audience; expiresAt: number }>();
  let issued = 0;

  const dropExpired = () => {
    for (const [token, { expiresAt }] of held) {
      if (expiresAt <= now()) {
        held.delete(token);
      }
    }
  };

  return {
    issue: (audience, expiresIn) => {
      dropExpired();

      const token = `simulated-${randomUUID()}`;
      held.set(token, { audience, expiresAt: now() + expiresIn * 1000 });
      issued += 1;

      return token;
    },

    audienceOf: (token) => {
      const known = held.get(token);

      return known !== undefined && now() < known.expiresAt ? known.audience : undefined;
    },

    issued: () => issued,
    expireAll: () => held.clear(),
  };
};
