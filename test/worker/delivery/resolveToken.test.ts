import type { TokenLookup } from '../../../src/seekTokens/registry.ts';
import { createResolveToken } from '../../../src/worker/delivery/resolveToken.ts';
import { accepted } from '../../schemas/parse.ts';
import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../../support/buildSignal.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const BY_APPLICATION = buildSignal({ token: undefined, applicationId: 'application-1' });
const FOUND = {
  kind: 'found',
  token: 'recorded',
  source: 'linkOut',
  receivedAt: '2026-01-01T00:00:00Z',
  expiresAt: '2026-03-01T00:00:00.001Z',
} as const satisfies TokenLookup;
const EXPIRED = { ...FOUND, expiresAt: '2026-03-01T00:00:00Z' };

const setup = (found: TokenLookup = FOUND, expired: 'send' | 'skip' = 'send') => {
  const lookups: string[] = [];
  const resolveToken = createResolveToken({
    tokens: {
      lookup: async (applicationId) => {
        lookups.push(applicationId);
        return found;
      },
    },
    cipher: {
      decrypt: (ciphertext, context) =>
        ciphertext === 'ours' ? `decrypted for ${context}` : undefined,
    },
    expired,
    now: () => NOW,
  });
  return {
    lookups,
    resolveToken: (signal: object, ciphertext?: string) =>
      resolveToken({
        signalId: 'signal-1',
        signal: accepted(signal),
        ...(ciphertext === undefined ? {} : { encryptedToken: { ciphertext, fingerprint: 'f' } }),
      }),
  };
};

describe('signal', () => {
  it.each([
    ['its own token', buildApplicationComplete()],
    ['no need of a token', buildPositionStatusUpdate()],
    ['another identifier', buildSignal({ token: undefined, candidateApplicationProfileId: 'p' })],
  ])('with %s → is sent as it is, without a lookup', async (_, signal) => {
    const { resolveToken, lookups } = setup();

    await expect(resolveToken(signal)).resolves.toEqual({
      kind: 'resolved',
      signal: accepted(signal),
    });
    expect(lookups).toEqual([]);
  });

  it('that names an application → gets its token, and the application id is removed', async () => {
    const { resolveToken, lookups } = setup();

    await expect(resolveToken(BY_APPLICATION)).resolves.toEqual({
      kind: 'resolved',
      signal: buildSignal({ token: 'recorded' }),
      tokenUsed: { source: 'linkOut', receivedAt: FOUND.receivedAt, expired: false },
    });
    expect(lookups).toEqual(['application-1']);
  });

  it.each<{ what: string; found: TokenLookup; expired?: 'skip'; result: object }>([
    {
      what: 'no token → skipped',
      found: { kind: 'none', erased: false },
      result: { kind: 'skipped', reason: 'no-token' },
    },
    {
      what: 'been erased → skipped',
      found: { kind: 'none', erased: true },
      result: { kind: 'skipped', reason: 'application-erased' },
    },
    {
      what: 'an expired token → resolved',
      found: EXPIRED,
      result: { kind: 'resolved', tokenUsed: { expired: true } },
    },
    {
      what: 'an expired token, EXPIRED_TOKENS=skip → skipped',
      found: EXPIRED,
      expired: 'skip',
      result: { kind: 'skipped', reason: 'token-expired' },
    },
    {
      what: 'a token in its last millisecond, EXPIRED_TOKENS=skip → resolved',
      found: FOUND,
      expired: 'skip',
      result: { kind: 'resolved', tokenUsed: { expired: false } },
    },
    {
      what: 'a token that no key decrypts → undecryptable',
      found: { kind: 'undecryptable' },
      result: { kind: 'undecryptable' },
    },
  ])('whose application has $what', async ({ found, expired, result }) => {
    await expect(setup(found, expired).resolveToken(BY_APPLICATION)).resolves.toMatchObject(result);
  });

  it('with an encrypted token → is sent with it decrypted, or is undecryptable', async () => {
    const { resolveToken } = setup();
    const { token, ...signal } = buildSignal();
    const withoutToken = { ...signal, candidateApplicationProfileId: 'p' };

    await expect(resolveToken(withoutToken, 'ours')).resolves.toMatchObject({
      kind: 'resolved',
      signal: { token: 'decrypted for signal-1' },
    });
    await expect(resolveToken(withoutToken, 'other')).resolves.toEqual({ kind: 'undecryptable' });
  });
});
