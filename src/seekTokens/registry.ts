import { maskToken } from '../observability/redact.ts';
import type { TokenStore } from '../queue/backend.ts';
import {
  fingerprintOf,
  newRenewalCounts,
  type RenewalCounts,
  type TokenCipher,
} from '../runtime/tokenCipher.ts';
import type { ApplicationTokens, StoredToken, TokenSource } from '../schemas/seekToken.ts';
import {
  currentToken,
  isErasedSince,
  withoutIdentifiers,
  withProfile,
  withToken,
} from './rules.ts';
import { createTokenRecords, PROFILE_RETENTION_MS } from './tokenRecords.ts';

export type SeekToken = { token: string; source: TokenSource; receivedAt: string };

/** What identifies an application to SEEK now. */
export type ApplicationIdentifiers = {
  /** The current token. */
  token?: { expiresAt: string } & (
    | ({ kind: 'decrypted' } & SeekToken)
    /** It was encrypted with a key that this process does not have. */
    | { kind: 'undecryptable' }
  );
  candidateApplicationProfileId?: string;
  /** The application was erased, and nothing recorded since. */
  erased: boolean;
};

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

export type CandidateApplicationProfileView = {
  applicationId: string;
  candidateApplicationProfileId: string;
  recordedAt: string;
};

const DAY_MS = 86_400_000;

type Deps = { store: TokenStore; cipher: TokenCipher; ttlDays: number; now?: () => number };

/** The registry of what identifies each application to SEEK: its seek tokens and its candidate application profile. */
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

  const decrypt = (applicationId: string, stored: StoredToken): ApplicationIdentifiers['token'] => {
    const { ciphertext, source, receivedAt } = stored;
    const token =
      ciphertext === undefined ? stored.token : cipher.decrypt(ciphertext, applicationId);
    const expiresAt = new Date(expiryOf(stored, ttlMs)).toISOString();
    return token === undefined
      ? { kind: 'undecryptable', expiresAt }
      : { kind: 'decrypted', token, source, receivedAt, expiresAt };
  };

  const lookup = async (applicationId: string): Promise<ApplicationIdentifiers> => {
    const known = await read(applicationId);
    const current = currentToken(known, now() - ttlMs);
    const token = current && decrypt(applicationId, current);
    const profile = known.candidateApplicationProfile;
    return {
      ...(token === undefined ? {} : { token }),
      ...(profile === undefined ? {} : { candidateApplicationProfileId: profile.id }),
      erased: known.erasedAt !== undefined && current === undefined && profile === undefined,
    };
  };

  return {
    find,
    lookup,

    /** Whether the application was erased and nothing was recorded for it since. */
    isErased: async (applicationId: string): Promise<boolean> =>
      (await lookup(applicationId)).erased,

    record: createRecord(writes),

    recordCandidateApplicationProfile: createRecordProfile(writes),

    findCandidateApplicationProfile: async (
      applicationId: string,
    ): Promise<CandidateApplicationProfileView | undefined> => {
      const { candidateApplicationProfile: profile } = await read(applicationId);
      if (profile === undefined) return undefined;
      const { id: candidateApplicationProfileId, recordedAt } = profile;
      return { applicationId, candidateApplicationProfileId, recordedAt };
    },

    removeCandidateApplicationProfile: createRemoveProfile(writes),

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
  /** Another application for which the same identifier was recorded before. */
  sharedWith?: string;
  /** The application was erased since, so nothing was recorded. */
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
      isErased = isErasedSince(known, stored.receivedAt);
      return withToken(known, stored);
    });
    if (isErased) {
      await store.releaseOwnership([fingerprint], applicationId);
      return { erasedSince: true };
    }
    return sharedWith === undefined ? {} : { sharedWith };
  };

const createRecordProfile =
  ({ store, now, change }: WriteDeps) =>
  /** Replaces an earlier profile id. Resolves once the store has acknowledged the write. */
  async (applicationId: string, id: string): Promise<RecordResult> => {
    const recordedAt = new Date(now()).toISOString();
    const fingerprint = fingerprintOf(id);
    const until = Date.parse(recordedAt) + PROFILE_RETENTION_MS;
    const sharedWith = await store.takeOwnership(fingerprint, applicationId, until);
    let isErased = false;
    let replaced: string | undefined;
    await change(applicationId, (known) => {
      isErased = isErasedSince(known, recordedAt);
      replaced = known.candidateApplicationProfile?.id;
      return isErased ? known : withProfile(known, { id, recordedAt });
    });
    if (isErased) {
      await store.releaseOwnership([fingerprint], applicationId);
      return { erasedSince: true };
    }
    if (replaced !== id) await releaseProfile(store, applicationId, replaced);
    return sharedWith === undefined ? {} : { sharedWith };
  };

const createRemoveProfile =
  ({ store, change }: WriteDeps) =>
  /** Idempotent. Signals that were accepted with the profile id itself keep it. */
  async (applicationId: string): Promise<void> => {
    let removed: string | undefined;
    await change(applicationId, (known) => {
      removed = known.candidateApplicationProfile?.id;
      return removed === undefined ? known : withProfile(known, undefined);
    });
    await releaseProfile(store, applicationId, removed);
  };

/** Another application may own the profile now: an erasure looks for signals by all that an application owns. */
const releaseProfile = async (
  store: TokenStore,
  applicationId: string,
  id: string | undefined,
): Promise<void> => {
  if (id !== undefined) await store.releaseOwnership([fingerprintOf(id)], applicationId);
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
   * Erases the application's tokens and its profile id. Resolves with the fingerprints of all that it
   * ever had, and with the same ones when repeated. Tokens that were recorded for another application
   * since are left out.
   */
  async (applicationId: string): Promise<string[]> => {
    let past: string[] = [];
    await change(applicationId, (known) => {
      const erased = withoutIdentifiers(known, new Date(now()).toISOString());
      past = erased.past ?? [];
      return erased;
    });
    const ofOthers = new Set(await store.releaseOwnership(past, applicationId));
    return past.filter((fingerprint) => !ofOthers.has(fingerprint));
  };
