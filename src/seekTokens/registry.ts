import { maskToken } from '../observability/redact.ts';
import type { StoredTokens, TokenStore } from '../queue/backend.ts';
import { fingerprintOf, newTally, type Tally, type TokenCipher } from '../runtime/tokenCipher.ts';
import { parseJson } from '../schemas/json.ts';
import {
  type ApplicationTokens,
  ApplicationTokensSchema,
  type StoredToken,
  type TokenSource,
} from '../schemas/seekToken.ts';
import { currentToken, isErasedSince, NO_TOKENS, withoutTokens, withToken } from './rules.ts';

export type SeekToken = { token: string; source: TokenSource; receivedAt: string };

/** Which token an application's signals go with now. */
export type Lookup =
  | ({ kind: 'found'; expiresAt: string } & SeekToken)
  /** It was never recorded, or its application was erased. */
  | { kind: 'none'; erased: boolean }
  /** It was sealed with a key that we do not have. */
  | { kind: 'undecryptable' };

export type TokenView = {
  /** Its length, the beginning of its SHA-256, and which unusual characters it holds. */
  token: string;
  source: TokenSource;
  receivedAt: string;
  expiresAt: string;
  expired: boolean;
};

/** The token that counts, as people see it, and all that were received: that one, then the others. */
export type ApplicationView = { applicationId: string; history: TokenView[] } & TokenView;

const DAY_MS = 86_400_000;

type Deps = { store: TokenStore; cipher: TokenCipher; ttlDays: number; now?: () => number };

/** The registry of seek tokens: which one an application has now. */
export const createSeekTokens = ({ store, cipher, ttlDays, now = Date.now }: Deps) => {
  const ttlMs = ttlDays * DAY_MS;

  const { read, change } = createTokenRecords({ store, ttlMs, now });

  const expiryOf = ({ receivedAt }: StoredToken): number => Date.parse(receivedAt) + ttlMs;

  const toView = (kept: StoredToken): TokenView => ({
    token: kept.masked,
    source: kept.source,
    receivedAt: kept.receivedAt,
    expiresAt: new Date(expiryOf(kept)).toISOString(),
    expired: expiryOf(kept) <= now(),
  });

  const find = async (applicationId: string): Promise<ApplicationView | undefined> => {
    const known = await read(applicationId);
    const current = currentToken(known, now() - ttlMs);
    if (current === undefined) return undefined;
    return { applicationId, ...toView(current), history: known.tokens.map(toView) };
  };

  const lookup = async (applicationId: string): Promise<Lookup> => {
    const known = await read(applicationId);
    const current = currentToken(known, now() - ttlMs);
    if (current === undefined) return { kind: 'none', erased: known.erasedAt !== undefined };
    const { ciphertext, source, receivedAt } = current;
    const token =
      ciphertext === undefined ? current.token : cipher.decrypt(ciphertext, applicationId);
    if (token === undefined) return { kind: 'undecryptable' };
    const expiresAt = new Date(expiryOf(current)).toISOString();
    return { kind: 'found', token, source, receivedAt, expiresAt };
  };

  return {
    find,
    lookup,

    /** Whether the application was erased, and no token recorded for it since. */
    isErased: async (applicationId: string): Promise<boolean> => {
      const found = await lookup(applicationId);
      return found.kind === 'none' && found.erased;
    },

    /**
     * Resolves once the store has acknowledged the write. `sharedWith`: the token was recorded for
     * that application before. `erasedSince`: the application was erased after it was received, and
     * nothing was recorded.
     */
    record: async (
      applicationId: string,
      { token, source, receivedAt }: SeekToken,
    ): Promise<{ sharedWith?: string; erasedSince?: true }> => {
      const fingerprint = fingerprintOf(token);
      const ciphertext = cipher.encrypt(token, applicationId);
      const kept = {
        ...(ciphertext === undefined ? { token } : { ciphertext }),
        ...{ fingerprint, masked: maskToken(token), source, receivedAt },
      };
      // Whose it is comes first: an erasure in between finds the token, or nothing at all.
      const until = Math.max(now(), Date.parse(receivedAt)) + 2 * ttlMs;
      const sharedWith = await store.takeOwnership(fingerprint, applicationId, until);
      let isErased = false;
      await change(applicationId, (known) => {
        isErased = isErasedSince(known, kept);
        return withToken(known, kept);
      });
      if (isErased) {
        await store.releaseOwnership([fingerprint], applicationId);
        return { erasedSince: true };
      }
      return sharedWith === undefined ? {} : { sharedWith };
    },

    /** The applications whose token expires within `ms` from now, the first to expire first. */
    expiring: async (ms: number, limit: number): Promise<ApplicationView[]> => {
      const expired = now() - ttlMs;
      const ids = await store.receivedBetween(expired, expired + ms, limit);
      const found = await Promise.all(ids.map(find));
      return found.filter((view) => view !== undefined);
    },

    /** How many those are. */
    countExpiring: (ms: number): Promise<number> => {
      const expired = now() - ttlMs;
      return store.countReceivedBetween(expired, expired + ms);
    },

    /** Seals anew what is not sealed by the first key. Resolves with how many tokens there were of each. */
    reencrypt: async (applicationId: string): Promise<Tally> => {
      let tally = newTally();
      const renewed = (known: ApplicationTokens): ApplicationTokens => {
        tally = newTally();
        const tokens = known.tokens.map(({ token, ciphertext, ...kept }) => {
          const renewal = cipher.renew({ token, ciphertext }, applicationId);
          tally[renewal.kind] += 1;
          return renewal.kind === 'reencrypted'
            ? { ...kept, ciphertext: renewal.ciphertext }
            : { token, ciphertext, ...kept };
        });
        return tally.reencrypted === 0 ? known : { ...known, tokens };
      };
      await change(applicationId, renewed, { keepsUntil: true });
      return tally;
    },

    /**
     * Resolves with the fingerprints of all tokens that it ever had, the same again where it is
     * repeated; without those that were recorded for another application since.
     */
    erase: async (applicationId: string): Promise<string[]> => {
      let past: string[] = [];
      await change(applicationId, (known) => {
        const left = withoutTokens(known, new Date(now()).toISOString());
        past = left.past ?? [];
        return left;
      });
      const others = new Set(await store.releaseOwnership(past, applicationId));
      return past.filter((fingerprint) => !others.has(fingerprint));
    },
  };
};

export type SeekTokens = ReturnType<typeof createSeekTokens>;

// Others write now and then; so many times in a row that is no accident.
const MOST_TRIES = 20;

type TokenRecordDeps = {
  store: Pick<TokenStore, 'read' | 'replace'>;
  ttlMs: number;
  now: () => number;
};

/** What is known of each application: read, and changed by a rule, whoever else changes it meanwhile. */
export const createTokenRecords = ({ store, ttlMs, now }: TokenRecordDeps) => {
  const change = async (
    applicationId: string,
    rule: (known: ApplicationTokens) => ApplicationTokens,
    { keepsUntil = false } = {},
  ): Promise<void> => {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const text = await store.read(applicationId);
      const known = toKnown(text);
      const changed = rule(known);
      if (changed === known) return;
      const stored = toStored(changed);
      const after = keepsUntil ? stored : { ...stored, until: untilOf(changed) };
      if (await store.replace(applicationId, text, after)) return;
    }
    throw new Error('The tokens of this application are not to be written');
  };

  const toStored = (known: ApplicationTokens): StoredTokens => {
    const received = known.tokens.map(({ receivedAt }) => Date.parse(receivedAt));
    return {
      text: JSON.stringify(known),
      // When the last of them expires there is none that lives.
      ...(received.length === 0 ? {} : { receivedAt: Math.max(...received) }),
      forgotten: now() - 2 * ttlMs,
    };
  };

  /** Kept for as long again as a token lives: SEEK's word on how long that is has changed before. */
  const untilOf = ({ tokens }: ApplicationTokens): number => {
    const received = tokens.map(({ receivedAt }) => Date.parse(receivedAt));
    return Math.max(now(), ...received) + 2 * ttlMs;
  };

  return {
    read: async (applicationId: string): Promise<ApplicationTokens> =>
      toKnown(await store.read(applicationId)),
    change,
  };
};

/** By a newer version, or by nobody of ours. */
export class UnreadableTokensError extends Error {
  override readonly name = 'UnreadableTokensError';

  constructor() {
    super('What is kept of this application cannot be read');
  }
}

/** What can't be read must not pass for nothing: it would be written over, and a token lost. */
const toKnown = (text: string | undefined): ApplicationTokens => {
  if (text === undefined) return NO_TOKENS;
  const read = ApplicationTokensSchema.safeParse(parseJson(text));
  if (!read.success) throw new UnreadableTokensError();
  return read.data;
};
