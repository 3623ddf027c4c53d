import { randomBytes } from 'node:crypto';

import type { StoredTokens, TokenStore } from '../../src/queue/backend.ts';
import { createTokenCipher, fingerprintOf } from '../../src/runtime/tokenCipher.ts';
import { createSeekTokens } from '../../src/seekTokens/registry.ts';

const DAY_MS = 86_400_000;
const TTL_DAYS = 30;

/** A registry on a store in memory. `clock` is the present, in days. */
const setup = () => {
  const clock = { day: 0 };
  const now = () => clock.day * DAY_MS;
  const stored = new Map<string, StoredTokens>();
  const owners = new Map<string, string>();
  const textOf = (applicationId: string): string | undefined => {
    const entry = stored.get(applicationId);
    return entry?.until !== undefined && entry.until <= now() ? undefined : entry?.text;
  };
  const store: TokenStore = {
    read: async (applicationId) => textOf(applicationId),
    replace: async (applicationId, before, after) => {
      if (textOf(applicationId) !== before) return false;
      const until = after.until ?? stored.get(applicationId)?.until;
      stored.set(applicationId, { ...after, ...(until === undefined ? {} : { until }) });
      return true;
    },
    takeOwnership: async (fingerprint, applicationId) => {
      const owner = owners.get(fingerprint) ?? applicationId;
      owners.set(fingerprint, owner);
      return owner === applicationId ? undefined : owner;
    },
    releaseOwnership: async (fingerprints, applicationId) => {
      for (const each of fingerprints) {
        if (owners.get(each) === applicationId) owners.delete(each);
      }
      return fingerprints.filter((each) => owners.has(each));
    },
    applications: async function* () {
      yield* stored.keys();
    },
    receivedBetween: async () => [],
    countReceivedBetween: async () => 0,
  };
  const open = (...keys: Buffer[]) =>
    createSeekTokens({ store, cipher: createTokenCipher(keys), ttlDays: TTL_DAYS, now });
  return {
    clock,
    open,
    registry: open(),
    at: (day: number) => new Date(day * DAY_MS).toISOString(),
  };
};

describe('an old token', () => {
  it('received more than twice its lifetime ago, recorded today → is still the token of the application', async () => {
    const { clock, registry, at } = setup();
    clock.day = 100;
    await registry.record('a', { token: 't', source: 'linkOut', receivedAt: at(1) });

    await expect(registry.lookup('a')).resolves.toMatchObject({ token: { token: 't' } });
  });

  it('of an application with a profile id → leaves after twice its lifetime, and the profile id stays', async () => {
    const { clock, registry, at } = setup();
    await registry.record('a', { token: 't', source: 'linkOut', receivedAt: at(0) });
    await registry.recordCandidateApplicationProfile('a', 'p');

    clock.day = 59;
    await expect(registry.lookup('a')).resolves.toMatchObject({ token: { token: 't' } });
    clock.day = 60;
    await expect(registry.lookup('a')).resolves.toEqual({
      candidateApplicationProfileId: 'p',
      erased: false,
    });
    expect(await registry.erase('a')).toHaveLength(2);
  });

  it('encrypted with a new key → leaves no later', async () => {
    const { clock, open, at } = setup();
    const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
    const before = open(oldKey);
    await before.record('a', { token: 't', source: 'linkOut', receivedAt: at(0) });
    await before.recordCandidateApplicationProfile('a', 'p');

    clock.day = 50;
    const after = open(newKey, oldKey);
    expect(await after.reencrypt('a')).toMatchObject({ reencrypted: 1 });
    clock.day = 60;
    await expect(after.lookup('a')).resolves.not.toHaveProperty('token');
  });
});

describe('a profile id that another application records', () => {
  it.each([
    [
      'replaced',
      (a: ReturnType<typeof setup>['registry']) => a.recordCandidateApplicationProfile('a', 'q'),
    ],
    [
      'removed',
      (a: ReturnType<typeof setup>['registry']) => a.removeCandidateApplicationProfile('a'),
    ],
  ])(
    'after it was %s in the first → an erasure of the first leaves it alone',
    async (_, change) => {
      const { registry } = setup();
      await registry.recordCandidateApplicationProfile('a', 'p');
      await change(registry);

      await expect(registry.recordCandidateApplicationProfile('b', 'p')).resolves.toEqual({});
      expect(await registry.erase('a')).not.toContain(fingerprintOf('p'));
      expect(await registry.erase('b')).toEqual([fingerprintOf('p')]);
    },
  );

  it('while the first still has it → a warning names the first', async () => {
    const { registry } = setup();
    await registry.recordCandidateApplicationProfile('a', 'p');

    await expect(registry.recordCandidateApplicationProfile('b', 'p')).resolves.toEqual({
      sharedWith: 'a',
    });
  });
});
