import { randomUUID } from 'node:crypto';

/** One token endpoint issues tokens for the live API and for the Playground. The audience selects one. */
export const AUDIENCES = {
  live: 'https://graphql.seek.com',
  playground: 'https://test.graphql.seek.com',
} as const;

export type Audience = keyof typeof AUDIENCES;

export type AccessTokens = {
  issue: (audience: Audience, expiresIn: number) => string;
  /** The audience of a valid token; `undefined` if the token is unknown or expired. */
  audienceOf: (token: string) => Audience | undefined;
  /** How many tokens were issued since the start. */
  issued: () => number;
  /** Expires all tokens that were issued so far. */
  expireAll: () => void;
};

export const createAccessTokens = ({ now }: { now: () => number }): AccessTokens => {
  const valid = new Map<string, { audience: Audience; expiresAt: number }>();
  let issued = 0;

  const dropExpired = () => {
    for (const [token, { expiresAt }] of valid) {
      if (expiresAt <= now()) {
        valid.delete(token);
      }
    }
  };

  return {
    issue: (audience, expiresIn) => {
      dropExpired();

      const token = `simulated-${randomUUID()}`;
      valid.set(token, { audience, expiresAt: now() + expiresIn * 1000 });
      issued += 1;

      return token;
    },

    audienceOf: (token) => {
      const issuedToken = valid.get(token);

      return issuedToken !== undefined && now() < issuedToken.expiresAt
        ? issuedToken.audience
        : undefined;
    },

    issued: () => issued,
    expireAll: () => valid.clear(),
  };
};
