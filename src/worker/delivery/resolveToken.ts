import type { TokenCipher } from '../../runtime/tokenCipher.ts';
import type { SeekSignal } from '../../schemas/signal.ts';
import type { Attempt, SignalJob, SkipReason } from '../../schemas/signalJob.ts';
import type { SeekTokens } from '../../seekTokens/registry.ts';

/** What a job holds of what is to be sent. */
export type Claimed = Pick<SignalJob, 'signal' | 'sealedToken'> & { signalId: string };

export type Bound =
  | { kind: 'bound'; signal: SeekSignal; bound?: NonNullable<Attempt['bound']> }
  | { kind: 'skipped'; reason: SkipReason }
  /** Its token was sealed with a key that this worker does not have. */
  | { kind: 'sealed' };

type Deps = {
  tokens: Pick<SeekTokens, 'lookup'>;
  cipher: Pick<TokenCipher, 'open'>;
  /** `EXPIRED_TOKENS`: SEEK says nothing of a token that is past its life, and whether it is, is not certain. */
  expired: 'send' | 'skip';
  now?: () => number;
};

/**
 * The signal as SEEK takes it: one that names an application gets the seek token that counts for it
 * now. An application without one did not come by SEEK, and SEEK wants to hear nothing of it
 * (developer.seek.com, "Application signals").
 */
export const createBind =
  ({ tokens, cipher, expired: policy, now = Date.now }: Deps) =>
  async ({ signalId, signal: claimed, sealedToken }: Claimed): Promise<Bound> => {
    const { applicationId, ...signal } = claimed;
    if (sealedToken !== undefined) {
      const token = cipher.open(sealedToken.sealed, signalId);
      return token === undefined
        ? { kind: 'sealed' }
        : { kind: 'bound', signal: { ...signal, token } };
    }
    if (applicationId === undefined) return { kind: 'bound', signal };

    const found = await tokens.lookup(applicationId);
    switch (found.kind) {
      case 'sealed':
        return found;
      case 'none':
        return { kind: 'skipped', reason: found.erased ? 'application-erased' : 'no-token' };
      case 'found': {
        const { token, source, receivedAt } = found;
        const expired = Date.parse(found.expiresAt) <= now();
        if (expired && policy === 'skip') return { kind: 'skipped', reason: 'token-expired' };
        return {
          kind: 'bound',
          signal: { ...signal, token },
          bound: { source, receivedAt, expired },
        };
      }
    }
  };

export type Bind = ReturnType<typeof createBind>;
