import type { Lookup } from '../../../src/seekTokens/registry.ts';
import { createBind } from '../../../src/worker/delivery/resolveToken.ts';
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
  const bind = createBind({
    tokens: {
      lookup: async (applicationId) => {
        looked.push(applicationId);
        return found;
      },
    },
    cipher: {
      open: (sealed, context) => (sealed === 'sealed' ? `opened for ${context}` : undefined),
    },
    expired,
    now: () => NOW,
  });
  return {
    looked,
    bind: (signal: object, sealed?: string) =>
      bind({
        ...{ signalId: 'signal-1', signal: accepted(signal) },
        ...(sealed === undefined ? {} : { sealedToken: { sealed, fingerprint: 'f' } }),
      }),
  };
};

describe('a signal', () => {
  it.each([
    ['its own token', buildApplicationComplete()],
    ['no need of one', buildPositionStatusUpdate()],
    ['another identifier', buildSignal({ token: undefined, candidateApplicationProfileId: 'p' })],
  ])('that has %s goes as it is, and nothing is looked up', async (_, signal) => {
    const { bind, looked } = setup();

    await expect(bind(signal)).resolves.toEqual({ kind: 'bound', signal: accepted(signal) });
    expect(looked).toEqual([]);
  });

  it('that names an application gets its token, and names it no more', async () => {
    const { bind, looked } = setup();

    await expect(bind(NAMED)).resolves.toEqual({
      kind: 'bound',
      signal: buildSignal({ token: 'recorded' }),
      bound: { source: 'linkOut', receivedAt: FOUND.receivedAt, expired: false },
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
      comes: { kind: 'bound', bound: { expired: true } },
    },
    {
      what: 'a token past its life, where those are skipped',
      ...{ found: EXPIRED, expired: 'skip' },
      comes: { kind: 'skipped', reason: 'token-expired' },
    },
    {
      what: 'a token in the last moment of its life, where those are skipped',
      ...{ found: FOUND, expired: 'skip' },
      comes: { kind: 'bound', bound: { expired: false } },
    },
    { what: 'a token that is sealed to us', found: { kind: 'sealed' }, comes: { kind: 'sealed' } },
  ])('whose application has $what', async ({ found, expired, comes }) => {
    await expect(setup(found, expired).bind(NAMED)).resolves.toMatchObject(comes);
  });

  it('whose own token is sealed goes with it opened, if it opens', async () => {
    const { bind } = setup();
    const { token, ...signal } = buildSignal();
    const withoutToken = { ...signal, candidateApplicationProfileId: 'p' };

    await expect(bind(withoutToken, 'sealed')).resolves.toMatchObject({
      ...{ kind: 'bound', signal: { token: 'opened for signal-1' } },
    });
    await expect(bind(withoutToken, 'other')).resolves.toEqual({ kind: 'sealed' });
  });
});
