import type { Lookup } from '../../../src/seekTokens/registry.ts';
import { createResolveToken } from '../../../src/worker/delivery/resolveToken.ts';
import { accepted } from '../../schemas/parse.ts';
import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../../support/buildSignal.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const NAMED = buildSignal({ token: undefined, applicationId: 'application-1' });
const FOUND = {
  ...{ kind: 'found', token: 'recorded', source: 'linkOut', receivedAt: '2026-01-01T00:00:00Z' },
  expiresAt: '2026-03-01T00:00:00.001Z',
} as const satisfies Lookup;
const EXPIRED = { ...FOUND, expiresAt: '2026-03-01T00:00:00Z' };

const setup = (found: Lookup = FOUND, expired: 'send' | 'skip' = 'send') => {
  const looked: string[] = [];
  const resolveToken = createResolveToken({
    tokens: {
      lookup: async (applicationId) => {
        looked.push(applicationId);
        return found;
      },
    },
    cipher: {
      decrypt: (ciphertext, context) =>
        ciphertext === 'undecryptable' ? `opened for ${context}` : undefined,
    },
    expired,
    now: () => NOW,
  });
  return {
    looked,
    resolveToken: (signal: object, ciphertext?: string) =>
      resolveToken({
        ...{ signalId: 'signal-1', signal: accepted(signal) },
        ...(ciphertext === undefined ? {} : { encryptedToken: { ciphertext, fingerprint: 'f' } }),
      }),
  };
};

describe('a signal', () => {
  it.each([
    ['its own token', buildApplicationComplete()],
    ['no need of one', buildPositionStatusUpdate()],
    ['another identifier', buildSignal({ token: undefined, candidateApplicationProfileId: 'p' })],
  ])('that has %s goes as it is, and nothing is looked up', async (_, signal) => {
    const { resolveToken, looked } = setup();

    await expect(resolveToken(signal)).resolves.toEqual({
      kind: 'resolved',
      signal: accepted(signal),
    });
    expect(looked).toEqual([]);
  });

  it('that names an application gets its token, and names it no more', async () => {
    const { resolveToken, looked } = setup();

    await expect(resolveToken(NAMED)).resolves.toEqual({
      kind: 'resolved',
      signal: buildSignal({ token: 'recorded' }),
      tokenUsed: { source: 'linkOut', receivedAt: FOUND.receivedAt, expired: false },
    });
    expect(looked).toEqual(['application-1']);
  });

  it.each<{ what: string; found: Lookup; expired?: 'skip'; comes: object }>([
    {
      what: 'no token',
      found: { kind: 'none', erased: false },
      comes: { kind: 'skipped', reason: 'no-token' },
    },
    {
      what: 'been erased',
      found: { kind: 'none', erased: true },
      comes: { kind: 'skipped', reason: 'application-erased' },
    },
    {
      what: 'a token past its life',
      found: EXPIRED,
      comes: { kind: 'resolved', tokenUsed: { expired: true } },
    },
    {
      what: 'a token past its life, where those are skipped',
      ...{ found: EXPIRED, expired: 'skip' },
      comes: { kind: 'skipped', reason: 'token-expired' },
    },
    {
      what: 'a token in the last moment of its life, where those are skipped',
      ...{ found: FOUND, expired: 'skip' },
      comes: { kind: 'resolved', tokenUsed: { expired: false } },
    },
    {
      what: 'a token that is sealed to us',
      found: { kind: 'undecryptable' },
      comes: { kind: 'undecryptable' },
    },
  ])('whose application has $what', async ({ found, expired, comes }) => {
    await expect(setup(found, expired).resolveToken(NAMED)).resolves.toMatchObject(comes);
  });

  it('whose own token is sealed goes with it opened, if it opens', async () => {
    const { resolveToken } = setup();
    const { token, ...signal } = buildSignal();
    const withoutToken = { ...signal, candidateApplicationProfileId: 'p' };

    await expect(resolveToken(withoutToken, 'undecryptable')).resolves.toMatchObject({
      ...{ kind: 'resolved', signal: { token: 'opened for signal-1' } },
    });
    await expect(resolveToken(withoutToken, 'other')).resolves.toEqual({ kind: 'undecryptable' });
  });
});
