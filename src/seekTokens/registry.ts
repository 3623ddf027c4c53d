import { maskToken } from '../observability/redact.ts';
import type { TokenStore } from '../queue/backend.ts';
import {
  fingerprintOf,
  newRenewalCounts,
  type RenewalCounts,
  type TokenCipher,
} from '../runtime/tokenCipher.ts';
import type { ApplicationTokens, StoredToken, TokenSource } from '../schemas/seekToken.ts';
import { currentToken, isErasedSince, withoutTokens, withToken } from './rules.ts';
import { createTokenRecords } from './tokenRecords.ts';

export type SeekToken = { token: string; source: TokenSource; receivedAt: string };

/** The token to send with an application's signals now. */
export type TokenLookup =
  | ({ kind: 'found'; expiresAt: string } & SeekToken)
  /** No token was recorded, or the application was erased. */
  | { kind: 'none'; erased: boolean }
  /** The token was encrypted with a key that this process does not have. */
  | { kind: 'undecryptable' };

export type TokenView = {
  /** Masked: the token's length, the beginning of its SHA-256, and its unusual characters. */
  token: string;
  source: TokenSource;
  receivedAt: string;
  expiresAt: string;
  expired: boolean;
};

/** The current token as operators see it. `history` holds all received tokens, the current one first. */
export type ApplicationView = { applicationId: string; history: TokenView[] } & TokenView;

const DAY_MS = 86_400_000;

type Deps = { store: TokenStore; cipher: TokenCipher; ttlDays: number; now?: () => number };

/** The registry of seek tokens. It knows which token to send for each application. */
export const createSeekTokens = ({ store, cipher, ttlDays, now = Date.now }: Deps) => {
  const ttlMs = ttlDays * DAY_MS;
  const { read, change } = createTokenRecords({ store, ttlMs, now });
  const writes = { store, cipher, ttlMs, now, change };

  const find = async (applicationId: string): Promise<ApplicationView | undefined> => {
    const known = await read(applicationId);
    const current = currentToken(known, now() - ttlMs);
    if (current === undefined) return undefined;
    const view = (stored: StoredToken) => toView(stored, ttlMs, now());
    return { applicationId, ...view(current), history: known.tokens.map(view) };
  };

  const lookup = async (applicationId: string): Promise<TokenLookup> => {
    const known = await read(applicationId);
    const current = currentToken(known, now() - ttlMs);
    if (current === undefined) return { kind: 'none', erased: known.erasedAt !== undefined };
    const { ciphertext, source, receivedAt } = current;
    const token =
      ciphertext === undefined ? current.token : cipher.decrypt(ciphertext, applicationId);
    if (token === undefined) return { kind: 'undecryptable' };
    const expiresAt = new Date(expiryOf(current, ttlMs)).toISOString();
    return { kind: 'found', token, source, receivedAt, expiresAt };
  };

  return {
    find,
    lookup,

    /** Whether the application was erased and no token was recorded for it since. */
    isErased: async (applicationId: string): Promise<boolean> => {
      const found = await lookup(applicationId);
      return found.kind === 'none' && found.erased;
    },

    record: createRecord(writes),

    /** The applications whose token expires within `ms` from now, the first to expire first. */
    expiring: async (ms: number, limit: number): Promise<ApplicationView[]> => {
      const expired = now() - ttlMs;
      const ids = await store.receivedBetween(expired, expired + ms, limit);
      const found = await Promise.all(ids.map(find));
      return found.filter((view) => view !== undefined);
    },

    /** The number of applications whose token expires within `ms` from now. */
    countExpiring: (ms: number): Promise<number> => {
      const expired = now() - ttlMs;
      return store.countReceivedBetween(expired, expired + ms);
    },

    reencrypt: createReencryptApplication(writes),
    erase: createErase(writes),
  };
};

export type SeekTokens = ReturnType<typeof createSeekTokens>;

const expiryOf = ({ receivedAt }: StoredToken, ttlMs: number): number =>
  Date.parse(receivedAt) + ttlMs;

const toView = (stored: StoredToken, ttlMs: number, now: number): TokenView => ({
  token: stored.masked,
  source: stored.source,
  receivedAt: stored.receivedAt,
  expiresAt: new Date(expiryOf(stored, ttlMs)).toISOString(),
  expired: expiryOf(stored, ttlMs) <= now,
});

type WriteDeps = {
  store: TokenStore;
  cipher: TokenCipher;
  ttlMs: number;
  now: () => number;
  change: ReturnType<typeof createTokenRecords>['change'];
};

type RecordResult = {
  /** Another application for which the same token was recorded before. */
  sharedWith?: string;
  /** The application was erased after the token was received, so nothing was recorded. */
  erasedSince?: true;
};

const createRecord =
  ({ store, cipher, ttlMs, now, change }: WriteDeps) =>
  /** Resolves once the store has acknowledged the write. */
  async (
    applicationId: string,
    { token, source, receivedAt }: SeekToken,
  ): Promise<RecordResult> => {
    const fingerprint = fingerprintOf(token);
    const ciphertext = cipher.encrypt(token, applicationId);
    const stored: StoredToken = {
      ...(ciphertext === undefined ? { token } : { ciphertext }),
      fingerprint,
      masked: maskToken(token),
      source,
      receivedAt,
    };
    // Ownership is written first. In the other order a concurrent erasure could leave an owner for a
    // token that is no longer recorded.
    const until = Math.max(now(), Date.parse(receivedAt)) + 2 * ttlMs;
    const sharedWith = await store.takeOwnership(fingerprint, applicationId, until);
    let isErased = false;
    await change(applicationId, (known) => {
      isErased = isErasedSince(known, stored);
      return withToken(known, stored);
    });
    if (isErased) {
      await store.releaseOwnership([fingerprint], applicationId);
      return { erasedSince: true };
    }
    return sharedWith === undefined ? {} : { sharedWith };
  };

const createReencryptApplication =
  ({ cipher, change }: WriteDeps) =>
  /** Encrypts the application's tokens with the first key. Resolves with the counts by result. */
  async (applicationId: string): Promise<RenewalCounts> => {
    let counts = newRenewalCounts();
    const renewAll = (known: ApplicationTokens): ApplicationTokens => {
      counts = newRenewalCounts();
      const tokens = known.tokens.map(({ token, ciphertext, ...stored }) => {
        const renewal = cipher.renew({ token, ciphertext }, applicationId);
        counts[renewal.kind] += 1;
        return renewal.kind === 'reencrypted'
          ? { ...stored, ciphertext: renewal.ciphertext }
          : { token, ciphertext, ...stored };
      });
      return counts.reencrypted === 0 ? known : { ...known, tokens };
    };
    await change(applicationId, renewAll, { keepsExpiry: true });
    return counts;
  };

const createErase =
  ({ store, now, change }: WriteDeps) =>
  /**
   * Erases the application's tokens. Resolves with the fingerprints of all tokens that it ever had, and
   * with the same ones when repeated. Tokens that were recorded for another application since are left
   * out.
   */
  async (applicationId: string): Promise<string[]> => {
    let past: string[] = [];
    await change(applicationId, (known) => {
      const erased = withoutTokens(known, new Date(now()).toISOString());
      past = erased.past ?? [];
      return erased;
    });
    const ofOthers = new Set(await store.releaseOwnership(past, applicationId));
    return past.filter((fingerprint) => !ofOthers.has(fingerprint));
  };
