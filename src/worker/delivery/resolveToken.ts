import type { TokenCipher } from '../../runtime/tokenCipher.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { Attempt, SignalJob, SkipReason } from '../../schemas/signalJob.ts';
import type { SeekTokens } from '../../seekTokens/registry.ts';

/** What a job holds of what is to be sent. */
export type UnresolvedSignal = Pick<SignalJob, 'signal' | 'encryptedToken'> & { signalId: string };

export type TokenResolution =
  | { kind: 'resolved'; signal: SeekSignal; tokenUsed?: NonNullable<Attempt['tokenUsed']> }
  | { kind: 'skipped'; reason: SkipReason }
  /** Its token was sealed with a key that this worker does not have. */
  | { kind: 'undecryptable' };

type Deps = {
  tokens: Pick<SeekTokens, 'lookup'>;
  cipher: Pick<TokenCipher, 'decrypt'>;
  /** `EXPIRED_TOKENS`: SEEK says nothing of a token that is past its life, and whether it is, is not certain. */
  expired: 'send' | 'skip';
  now?: () => number;
};

/**
 * The signal as SEEK takes it: one that names an application gets the seek token that counts for it
 * now. An application without one did not come by SEEK, and SEEK wants to hear nothing of it
 * (developer.seek.com, "Application signals").
 */
export const createResolveToken =
  ({ tokens, cipher, expired: policy, now = Date.now }: Deps) =>
  async ({
    signalId,
    signal: claimed,
    encryptedToken,
  }: UnresolvedSignal): Promise<TokenResolution> => {
    const { applicationId, ...signal } = claimed;
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
