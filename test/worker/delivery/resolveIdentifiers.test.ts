import type { ApplicationIdentifiers } from '../../../src/seekTokens/registry.ts';
import { createResolveIdentifiers } from '../../../src/worker/delivery/resolveIdentifiers.ts';
import { accepted } from '../../schemas/parse.ts';
import {
  buildApplicationComplete,
  buildPositionStatusUpdate,
  buildSignal,
} from '../../support/buildSignal.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const ACCEPTED_AT = '2026-02-28T23:59:00.000Z';
const TOKEN = {
  kind: 'decrypted',
  token: 'recorded',
  source: 'linkOut',
  receivedAt: '2026-01-01T00:00:00Z',
  expiresAt: '2026-03-01T00:00:00.001Z',
} as const;
const EXPIRED = { ...TOKEN, expiresAt: '2026-03-01T00:00:00Z' };
const PROFILE = 'seekAnz:candidateApplicationProfile:1';
const POSITIONS = ['seekAnz:positionProfile:jobAd:1', 'seekAnz:positionProfile:jobAd:2'];

const STATUS = buildSignal({ token: undefined, applicationId: 'application-1' });
const COMPLETE = buildApplicationComplete({ token: undefined, applicationId: 'application-1' });
const POSITION = buildPositionStatusUpdate({
  positionProfileIds: undefined,
  positionId: 'position-1',
});

type Setup = {
  application?: Partial<ApplicationIdentifiers>;
  position?: string[] | undefined;
  expired?: 'send' | 'skip';
};

const setup = ({ application = {}, position, expired = 'send' }: Setup = {}) => {
  const looked: string[] = [];
  const resolve = createResolveIdentifiers({
    seekTokens: {
      lookup: async (applicationId) => {
        looked.push(applicationId);
        return { erased: false, ...application };
      },
    },
    positions: {
      find: async (positionId) => {
        looked.push(positionId);
        return position && { positionId, positionProfileIds: position, recordedAt: ACCEPTED_AT };
      },
    },
    cipher: {
      decrypt: (ciphertext, context) =>
        ciphertext === 'ours' ? `decrypted for ${context}` : undefined,
    },
    expired,
    now: () => NOW,
  });
  const resolveNow = (signal: object, ciphertext?: string) =>
    resolve({
      signalId: 'signal-1',
      signal: accepted(signal),
      acceptedAt: ACCEPTED_AT,
      ...(ciphertext === undefined ? {} : { encryptedToken: { ciphertext, fingerprint: 'f' } }),
    });
  return {
    looked,
    /** As the worker calls it: the result, or a promise of it. */
    resolveNow,
    resolve: async (signal: object, ciphertext?: string) => resolveNow(signal, ciphertext),
  };
};

const skipped = (reason: string) => ({ kind: 'skipped', reason });
const withToken = (expired: boolean) => ({
  kind: 'resolved',
  signal: { token: 'recorded' },
  tokenUsed: { source: 'linkOut', receivedAt: TOKEN.receivedAt, expired },
});
const withProfile = { kind: 'resolved', signal: { candidateApplicationProfileId: PROFILE } };

describe('a signal with identifiers of its own', () => {
  it.each([
    ['its token', buildApplicationComplete({ timestamp: '2026-02-27T00:00:00Z' })],
    ['position profile ids', buildPositionStatusUpdate()],
    ['a profile id', buildSignal({ token: undefined, candidateApplicationProfileId: 'p' })],
  ])('%s → sent as it is, nothing looked up', async (_, signal) => {
    const { resolve, looked } = setup();

    await expect(resolve(signal)).resolves.toEqual({ kind: 'resolved', signal: accepted(signal) });
    expect(looked).toEqual([]);
  });

  it('an encrypted token → decrypted, or reported as undecryptable', async () => {
    const { resolve } = setup();
    const { token, ...rest } = buildSignal();
    const signal = { ...rest, candidateApplicationProfileId: 'p' };

    await expect(resolve(signal, 'ours')).resolves.toMatchObject({
      kind: 'resolved',
      signal: { token: 'decrypted for signal-1' },
    });
    await expect(resolve(signal, 'other')).resolves.toEqual({ kind: 'undecryptable' });
  });
});

describe('a signal whose identifiers need no lookup', () => {
  it.each([
    ['its token', buildSignal(), undefined],
    [
      'an encrypted token',
      buildSignal({ token: undefined, candidateApplicationProfileId: 'p' }),
      'ours',
    ],
    ['position profile ids', buildPositionStatusUpdate(), undefined],
  ])('%s → is resolved at once, without a promise', (_, signal, ciphertext) => {
    expect(setup().resolveNow(signal, ciphertext)).toMatchObject({ kind: 'resolved' });
  });

  it('an encrypted token that no key decrypts, and a position → the position is not looked up', async () => {
    const { resolve, looked } = setup({ position: POSITIONS });
    const signal = buildSignal({ token: undefined, candidateApplicationProfileId: 'p' });

    await expect(resolve({ ...signal, positionId: 'position-1' }, 'other')).resolves.toEqual({
      kind: 'undecryptable',
    });
    expect(looked).toEqual([]);
  });

  it.each([
    ['an application', STATUS],
    ['a position', POSITION],
  ])('it names %s → a promise', async (_, signal) => {
    const resolving = setup().resolveNow(signal);

    expect(resolving).toBeInstanceOf(Promise);
    await expect(resolving).resolves.toMatchObject({ kind: 'skipped' });
  });
});

describe('a signal that names an application', () => {
  it('sent → without the application id', async () => {
    const { resolve, looked } = setup({ application: { token: TOKEN } });

    await expect(resolve(STATUS)).resolves.toEqual({
      kind: 'resolved',
      signal: buildSignal({ token: 'recorded' }),
      tokenUsed: { source: 'linkOut', receivedAt: TOKEN.receivedAt, expired: false },
    });
    expect(looked).toEqual(['application-1']);
  });

  const both = { candidateApplicationProfileId: PROFILE };

  it.each<{ recorded: string; given: Setup; status: object; complete: object }>([
    {
      recorded: 'nothing',
      given: {},
      status: skipped('no-token'),
      complete: skipped('no-token'),
    },
    {
      recorded: 'an erasure',
      given: { application: { erased: true } },
      status: skipped('application-erased'),
      complete: skipped('application-erased'),
    },
    {
      recorded: 'a living token',
      given: { application: { token: TOKEN } },
      status: withToken(false),
      complete: withToken(false),
    },
    {
      recorded: 'an expired token',
      given: { application: { token: EXPIRED } },
      status: withToken(true),
      complete: withToken(true),
    },
    {
      recorded: 'an expired token, where those are skipped',
      given: { application: { token: EXPIRED }, expired: 'skip' },
      status: skipped('token-expired'),
      complete: skipped('token-expired'),
    },
    {
      recorded: 'only a profile id',
      given: { application: both },
      status: withProfile,
      complete: skipped('not-required'),
    },
    {
      recorded: 'a living token and a profile id',
      given: { application: { token: TOKEN, ...both } },
      status: withToken(false),
      complete: withToken(false),
    },
    {
      recorded: 'an expired token and a profile id',
      given: { application: { token: EXPIRED, ...both } },
      status: withProfile,
      complete: withToken(true),
    },
    {
      recorded: 'an expired token and a profile id, where expired tokens are skipped',
      given: { application: { token: EXPIRED, ...both }, expired: 'skip' },
      status: withProfile,
      complete: skipped('token-expired'),
    },
    {
      recorded: 'a token that no key decrypts',
      given: { application: { token: { ...TOKEN, kind: 'undecryptable' }, ...both } },
      status: { kind: 'undecryptable' },
      complete: { kind: 'undecryptable' },
    },
    {
      recorded: 'an expired token that no key decrypts, and a profile id',
      given: { application: { token: { ...EXPIRED, kind: 'undecryptable' }, ...both } },
      status: withProfile,
      complete: { kind: 'undecryptable' },
    },
  ])('$recorded recorded → each type as SEEK wants it', async ({ given, status, complete }) => {
    const { resolve } = setup(given);

    await expect(resolve(STATUS)).resolves.toMatchObject(status);
    await expect(resolve(COMPLETE)).resolves.toMatchObject(complete);
  });
});

describe('a signal that names a position', () => {
  it('recorded position → its position profiles, without the position id', async () => {
    const { resolve, looked } = setup({ position: POSITIONS });

    await expect(resolve(POSITION)).resolves.toEqual({
      kind: 'resolved',
      signal: buildPositionStatusUpdate({ positionProfileIds: POSITIONS }),
    });
    expect(looked).toEqual(['position-1']);
  });

  it('position that was never recorded → skipped as not advertised', async () => {
    await expect(setup().resolve(POSITION)).resolves.toEqual(skipped('not-advertised'));
  });

  it('status update with both ids → both resolved', async () => {
    const { resolve } = setup({ application: { token: TOKEN }, position: POSITIONS });

    await expect(resolve({ ...STATUS, positionId: 'position-1' })).resolves.toMatchObject({
      kind: 'resolved',
      signal: { token: 'recorded', positionProfileIds: POSITIONS },
    });
  });

  it('status update of a known application, position never recorded → sent without the position', async () => {
    const { resolve } = setup({ application: { token: TOKEN } });
    const resolved = await resolve({ ...STATUS, positionId: 'position-1' });

    expect(resolved).toMatchObject({ kind: 'resolved', signal: { token: 'recorded' } });
    expect(resolved).not.toHaveProperty('signal.positionProfileIds');
    expect(resolved).not.toHaveProperty('signal.positionId');
  });
});

describe('an ApplicationComplete', () => {
  it('without a timestamp → sent with the time of acceptance', async () => {
    const signal = buildApplicationComplete({ timestamp: undefined });

    await expect(setup().resolve(signal)).resolves.toMatchObject({
      signal: { timestamp: ACCEPTED_AT },
    });
  });

  it('with a timestamp → sent with its own', async () => {
    const timestamp = '2026-02-27T00:00:00Z';

    await expect(setup().resolve(buildApplicationComplete({ timestamp }))).resolves.toMatchObject({
      signal: { timestamp },
    });
  });
});
