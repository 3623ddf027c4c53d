import { createLedger } from '../../../src/queue/embedded/bookkeeping.ts';
import { createJobStore } from '../../../src/queue/embedded/jobs.ts';
import { openKeyValueStore } from '../../../src/queue/embedded/keyValueStore.ts';
import { openPglite } from '../../../src/queue/embedded/pglite.ts';
import { createSearchIndex } from '../../../src/queue/embedded/searchIndex.ts';
import { createTokenStore } from '../../../src/queue/embedded/tokenStore.ts';
import { keyNameOf } from '../../../src/queue/searchIndex.ts';
import type { SignalRecord } from '../../../src/schemas/signalRecord.ts';

let database: Awaited<ReturnType<typeof openPglite>>;
let now = 1_800_000_000_000;
beforeAll(async () => {
  database = await openPglite(undefined);
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.query('DROP TABLE IF EXISTS seek_signals.store');
});

const open = () => openKeyValueStore(database, () => now);
const SKIPPED: SignalRecord = {
  signalId: 'id',
  typeCode: 'ApplicationComplete',
  state: 'skipped',
  acceptedAt: '2027-01-15T08:00:00.000Z',
  attempts: [],
  redrives: 0,
  reason: 'a NUL \u0000, a lone surrogate \ud800 and "quotes"',
};

describe('the key/value store', () => {
  it('an entry that expires → is absent from then on, and is removed on opening', async () => {
    const store = await open();
    await store.put('seekTokens', [{ key: 'a', value: 'text', expiresAt: now + 10 }]);
    expect(await store.get('seekTokens', ['a'])).toEqual(
      new Map([['a', { value: 'text', expiresAt: now + 10 }]]),
    );

    now += 10;

    expect(await store.get('seekTokens', ['a'])).toEqual(new Map());
    expect(await store.list('seekTokens')).toEqual([]);
    await open();
    expect((await store.query('SELECT key FROM seek_signals.store')).rows).toEqual([]);
  });

  it('putIfAbsent → writes over an expired entry only', async () => {
    const store = await open();
    await store.put('seekTokens', [
      { key: 'expired', value: 'old', expiresAt: now },
      { key: 'live', value: 'old' },
    ]);

    await store.putIfAbsent(
      'seekTokens',
      ['expired', 'live', 'absent', 'absent'].map((key) => ({ key, value: 'new' })),
    );

    const entries = await store.get('seekTokens', ['expired', 'live', 'absent']);
    expect([...entries].map(([key, { value }]) => [key, value]).sort()).toEqual([
      ['absent', 'new'],
      ['expired', 'new'],
      ['live', 'old'],
    ]);
  });

  it('list → keys above and up to a score, in order, within their space', async () => {
    const store = await open();
    await store.put(
      'unsent',
      [3, 1, 2].map((score) => ({ key: `k${score}`, value: true, score })),
    );
    await store.put('unsent', [{ key: 'unscored', value: true }]);
    await store.put('search:x', [{ key: 'other', value: true, score: 2 }]);
    const keys = async (...range: Parameters<typeof store.list>) =>
      (await store.list(...range)).map(({ key }) => key);

    expect(await keys('unsent')).toEqual(['unscored', 'k1', 'k2', 'k3']);
    expect(await keys('unsent', { above: 1, upTo: 3 })).toEqual(['k2', 'k3']);
    expect(await keys('unsent', { order: 'DESC', limit: 2 })).toEqual(['k3', 'k2']);
  });

  it('a transaction that throws → writes nothing, and the next one runs', async () => {
    const store = await open();

    const failed = store.transaction(async (tx) => {
      await tx.put('tokenOwners', [{ key: 'f', value: 'a' }]);
      await tx.query('SELECT 1/0');
    });

    await expect(failed).rejects.toThrow('division by zero');
    expect(await store.transaction((tx) => tx.get('tokenOwners', ['f']))).toEqual(new Map());
  });

  it('concurrent transactions on one entry → each sees what the one before wrote', async () => {
    const store = await open();
    const bookkeeping = createLedger({ store, now: () => now });

    await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        bookkeeping.recordOutcomes([
          { signalId: `a${n}`, outcome: 'delivered' },
          { signalId: `b${n}`, outcome: 'skipped' },
        ]),
      ),
    );

    expect(await bookkeeping.countRecentOutcomes()).toEqual({ delivered: 10, skipped: 10 });
  });
});

it('the record of a skip cannot be written → its job stays', async () => {
  const store = await open();
  const jobs = createJobStore({ store, skipRecordTtlMs: 1_000, now: () => now });
  await database.query(
    `INSERT INTO bullmq.job (queue, id, seq, name, data, opts, state) VALUES ('signals', 'id', 1, 'n', '{}', '{}', 'waiting')`,
  );
  const skipped = { record: SKIPPED, dedupe: { contentId: 'id', until: now } };
  await database.query('DROP TABLE seek_signals.store');

  await expect(jobs.removeWaiting('signals', 'id', skipped)).rejects.toThrow('does not exist');

  await open();
  expect(await jobs.removeWaiting('signals', 'id', skipped)).toBe(true);
  expect(await jobs.removeWaiting('signals', 'id', skipped)).toBe(false);
  expect(await createLedger({ store, now: () => now }).findSkipRecord('id')).toEqual(SKIPPED);
});

it('another caller has replaced the tokens of an application → they stay', async () => {
  const tokens = createTokenStore(await open());
  const until = now + 1_000;
  expect(await tokens.replace('app', undefined, { text: 'one', until, forgotten: 0 })).toBe(true);

  expect(await tokens.replace('app', undefined, { text: 'two', until, forgotten: 0 })).toBe(false);
  expect(await tokens.replace('app', 'one', { text: 'three', forgotten: 0 })).toBe(true);

  expect(await tokens.read('app')).toBe('three');
  expect(await tokens.countReceivedBetween(0, now)).toBe(0);
  now = until;
  expect(await tokens.read('app')).toBeUndefined();
});

describe('the tables of an earlier version', () => {
  const until = 1_900_000_000_000;
  const searchKey = { kind: 'application', value: 'app' } as const;
  const createOldTables = async () => {
    for (const statement of [
      'CREATE TABLE public.remembered (signal_id text PRIMARY KEY, content_id text NOT NULL, accepted boolean NOT NULL, expires_at bigint NOT NULL)',
      'CREATE TABLE public.unsent (signal_id text PRIMARY KEY, accepted_at bigint NOT NULL)',
      'CREATE TABLE public.settled (hour bigint, outcome text, signals bigint NOT NULL, PRIMARY KEY (hour, outcome))',
      'CREATE TABLE public.skipped (signal_id text PRIMARY KEY, life json NOT NULL, expires_at bigint NOT NULL)',
      'CREATE TABLE public.signal_traits (name text NOT NULL, signal_id text NOT NULL, noted_at bigint NOT NULL)',
      'CREATE TABLE public.seek_tokens (application_id text PRIMARY KEY, text text NOT NULL, received_at bigint, until bigint NOT NULL)',
      'CREATE TABLE public.token_owners (fingerprint text PRIMARY KEY, application_id text NOT NULL, until bigint NOT NULL)',
      `INSERT INTO public.remembered VALUES ('a', 'content', true, ${until})`,
      `INSERT INTO public.unsent VALUES ('b', 7)`,
      `INSERT INTO public.settled VALUES (500000, 'delivered', 3)`,
      `INSERT INTO public.signal_traits VALUES ('${keyNameOf(searchKey)}', 'a', ${now})`,
      `INSERT INTO public.seek_tokens VALUES ('app', '{"tokens":[]}', 5, ${until}), ('none', '{}', NULL, ${until})`,
      `INSERT INTO public.token_owners VALUES ('f', 'app', ${until})`,
    ]) {
      await database.query(statement);
    }
    const record = [JSON.stringify(SKIPPED), until];
    await database.query(`INSERT INTO public.skipped VALUES ('id', $1, $2)`, record);
  };

  it('are moved into the store on opening, once', async () => {
    await createOldTables();

    const store = await open();

    const bookkeeping = createLedger({ store, now: () => now });
    expect(await bookkeeping.findDedupeRecord('a')).toBe('content');
    expect(await bookkeeping.oldestUnsent(2)).toEqual([{ signalId: 'b', acceptedAt: 7 }]);
    expect(await bookkeeping.findSkipRecord('id')).toEqual(SKIPPED);
    const index = createSearchIndex({ store, keepKeysMs: 1, keepRequestsMs: 1 });
    expect(await index.find(searchKey)).toEqual(['a']);
    const tokens = createTokenStore(store);
    expect(await tokens.read('app')).toBe('{"tokens":[]}');
    expect(await tokens.receivedBetween(4, 5, 9)).toEqual(['app']);
    expect(await tokens.takeOwnership('f', 'other', until)).toBe('app');
    await store.delete('seekTokens', ['app']);
    expect(await createTokenStore(await open()).read('app')).toBeUndefined();
    const tables = `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`;
    expect((await database.query(tables)).rows).toEqual([]);
  });
});
