import type { StoredTokens, TokenStore } from '../queue/backend.ts';
import { parseJson } from '../schemas/json.ts';
import { type ApplicationTokens, ApplicationTokensSchema } from '../schemas/seekToken.ts';
import { NO_TOKENS, normalise } from './rules.ts';

// Concurrent updates of one application are rare. This many failures in a row are a defect.
const MAX_TRIES = 20;
// Profile ids do not expire at SEEK. Three years outlast a hiring process and the onboarding after it.
export const PROFILE_RETENTION_MS = 3 * 365 * 86_400_000;

type Deps = {
  store: Pick<TokenStore, 'read' | 'replace'>;
  ttlMs: number;
  now: () => number;
};

/** Reads what is stored of an application, and changes it by compare-and-set. */
export const createTokenRecords = ({ store, ttlMs, now }: Deps) => {
  const toStored = (known: ApplicationTokens): StoredTokens => {
    const received = known.tokens.map(({ receivedAt }) => Date.parse(receivedAt));
    return {
      text: JSON.stringify(known),
      // The application is about to lose its token when the newest one expires.
      ...(received.length === 0 ? {} : { receivedAt: Math.max(...received) }),
      unlistBefore: now() - 2 * ttlMs,
    };
  };

  /** Tokens are kept for twice their lifetime, because SEEK has changed the lifetime before. */
  const withExpiry = ({ tokensUntil: _, ...known }: ApplicationTokens): StoredTokens => {
    const { tokens, candidateApplicationProfile: profile } = known;
    const received = tokens.map(({ receivedAt }) => Date.parse(receivedAt));
    const tokensUntil = Math.max(now(), ...received) + 2 * ttlMs;
    if (profile === undefined) return { ...toStored(known), until: tokensUntil };
    const until = Math.max(tokensUntil, Date.parse(profile.recordedAt) + PROFILE_RETENTION_MS);
    return {
      ...toStored({ ...known, tokensUntil: new Date(tokensUntil).toISOString() }),
      until,
    };
  };

  const parse = (text: string | undefined): ApplicationTokens =>
    normalise(parseTokens(text), now());

  return {
    read: async (applicationId: string): Promise<ApplicationTokens> =>
      parse(await store.read(applicationId)),

    /** `rule` may run several times. If it returns its argument, nothing is written. */
    change: async (
      applicationId: string,
      rule: (known: ApplicationTokens) => ApplicationTokens,
      { keepsExpiry = false } = {},
    ): Promise<void> => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const text = await store.read(applicationId);
        const known = parse(text);
        const changed = rule(known);
        if (changed === known) return;
        const after = keepsExpiry ? toStored(changed) : withExpiry(changed);
        if (await store.replace(applicationId, text, after)) return;
      }
      throw new Error(
        `Gave up after ${MAX_TRIES} attempts: concurrent updates to the seek tokens of ` +
          `application ${applicationId}. Try again.`,
      );
    },
  };
};

/** A newer version, or another program, wrote what is stored of an application. */
export class UnreadableTokensError extends Error {
  override readonly name = 'UnreadableTokensError';

  constructor() {
    super(
      'Expected seek tokens in a version that this process knows, found other data. Run a newer version.',
    );
  }
}

/** Unreadable data must not count as absent: the next write would replace it, and lose a token. */
const parseTokens = (text: string | undefined): ApplicationTokens => {
  if (text === undefined) return NO_TOKENS;
  const read = ApplicationTokensSchema.safeParse(parseJson(text));
  if (!read.success) throw new UnreadableTokensError();
  return read.data;
};
