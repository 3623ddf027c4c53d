import type { TokenCipher } from '../../runtime/tokenCipher.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { Attempt, SignalJob, SkipReason } from '../../schemas/signalJob.ts';
import type { SeekTokens } from '../../seekTokens/registry.ts';

/** A signal as the job stores it: the seek token is encrypted, or looked up by its application. */
export type UnresolvedSignal = Pick<SignalJob, 'signal' | 'encryptedToken'> & { signalId: string };

export type TokenResolution =
  | { kind: 'resolved'; signal: SeekSignal; tokenUsed?: NonNullable<Attempt['tokenUsed']> }
  | { kind: 'skipped'; reason: SkipReason }
  /** The seek token was encrypted with a key that this worker does not have. */
  | { kind: 'undecryptable' };

type Deps = {
  tokens: Pick<SeekTokens, 'lookup'>;
  cipher: Pick<TokenCipher, 'decrypt'>;
  /**
   * `EXPIRED_TOKENS`. The expiry date is our estimate, and SEEK does not document how it treats an
   * expired token. So the operator decides.
   */
  expired: 'send' | 'skip';
  now?: () => number;
};

/**
 * Turns a stored signal into the one that is sent to SEEK. A signal that names an application gets
 * the application's current seek token. An application without a token did not come through SEEK, and
 * SEEK wants no signals about it (developer.seek.com, "Application signals").
 */
export const createResolveToken =
  ({ tokens, cipher, expired: policy, now = Date.now }: Deps) =>
  async ({
    signalId,
    signal: stored,
    encryptedToken,
  }: UnresolvedSignal): Promise<TokenResolution> => {
    const { applicationId, ...signal } = stored;
    if (encryptedToken !== undefined) {
      const token = cipher.decrypt(encryptedToken.ciphertext, signalId);
      return token === undefined
        ? { kind: 'undecryptable' }
        : { kind: 'resolved', signal: { ...signal, token } };
    }
    if (applicationId === undefined) return { kind: 'resolved', signal };

    const found = await tokens.lookup(applicationId);
    switch (found.kind) {
      case 'undecryptable':
        return found;
      case 'none':
        return { kind: 'skipped', reason: found.erased ? 'application-erased' : 'no-token' };
      case 'found': {
        const { token, source, receivedAt } = found;
        const expired = Date.parse(found.expiresAt) <= now();
        if (expired && policy === 'skip') return { kind: 'skipped', reason: 'token-expired' };
        return {
          kind: 'resolved',
          signal: { ...signal, token },
          tokenUsed: { source, receivedAt, expired },
        };
      }
    }
  };

export type ResolveToken = ReturnType<typeof createResolveToken>;
