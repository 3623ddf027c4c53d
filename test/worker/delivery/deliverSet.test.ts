import { SignalJobSchema } from '../../../src/schemas/signalJob.ts';
import type { Permit } from '../../../src/worker/circuitBreaker/circuitBreaker.ts';
import type { DeliveryResult } from '../../../src/worker/delivery/bisectBatch.ts';
import { createDeliverSet, withTokenUsed } from '../../../src/worker/delivery/deliverSet.ts';
import type { IdentifierResolution } from '../../../src/worker/delivery/resolveIdentifiers.ts';
import type { InFlight, ResolvedEntry } from '../../../src/worker/inFlight.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal, buildSignalJob } from '../../support/buildSignal.ts';
import { buildTakenJob } from '../../support/memoryJobSource.ts';

const DELIVERED: DeliveryResult = {
  kind: 'attempted',
  outcome: { kind: 'delivered' },
  requestId: 'request-1',
};
const RELEASED: DeliveryResult = { kind: 'released' };
const TOKEN_USED = {
  source: 'linkOut',
  receivedAt: '2026-03-01T00:00:00Z',
  expired: true,
} as const;

const inFlightOf = (id: string): InFlight => ({
  job: buildTakenJob({ id, bytes: 321 }),
  signalJob: SignalJobSchema.parse(buildSignalJob()),
  startedAt: 0,
  span: undefined,
});

type Resolution = IdentifierResolution | Promise<IdentifierResolution>;

type Doubles = {
  acquire?: (abort?: AbortSignal) => Promise<Permit | undefined>;
  /** The result of a signal that is sent alone. */
  alone?: DeliveryResult;
  resolve?: (signalId: string) => Resolution;
  abort?: AbortSignal;
};

const SIGNAL = acceptedBySeek(buildSignal());
const RESOLVED: IdentifierResolution = { kind: 'resolved', signal: SIGNAL };

const setup = ({
  acquire = async () => 'normal',
  resolve = () => RESOLVED,
  alone = DELIVERED,
  abort = new AbortController().signal,
}: Doubles = {}) => {
  const batched: ResolvedEntry[][] = [];
  const sentAlone: unknown[] = [];
  const released: Permit[] = [];
  const results: [string, DeliveryResult][] = [];
  const deliver = createDeliverSet({
    breaker: { acquire, release: (permit) => void released.push(permit) },
    resolveIdentifiers: ({ signalId }) => resolve(signalId),
    batcher: { send: (entries) => void batched.push([...entries]) },
    bisectBatch: async (entries, permit, onResult) => {
      sentAlone.push([entries.map(({ signalId }) => signalId).join(), permit]);
      for (const entry of entries) onResult(entry, alone);
    },
    onResult: ({ job }, delivery) => results.push([job.id, delivery]),
    abort,
  });
  return {
    deliverSet: (...ids: string[]) => deliver.deliverSet(ids.map(inFlightOf)),
    deliverAlone: (id = 'one') => deliver.deliverAlone(inFlightOf(id)),
    /** The ids of each set that the batcher sends. */
    batchedIds: () => batched.map((entries) => entries.map(({ signalId }) => signalId).join(' ')),
    batched,
    sentAlone,
    released,
    results,
  };
};

describe('set of signals', () => {
  it('normal permit → goes through the batcher in one piece', async () => {
    const { deliverSet, batched, batchedIds, sentAlone, results } = setup();

    await deliverSet('one', 'two', 'three');

    expect(batchedIds()).toEqual(['one two three']);
    expect(batched[0]?.[0]).toMatchObject({ signalId: 'one', signal: SIGNAL, bytes: 321 });
    expect([sentAlone, results]).toEqual([[], []]);
  });

  it('probe → the first is sent alone, the others are released, then the permit is', async () => {
    const { deliverSet, batched, sentAlone, released, results } = setup({
      acquire: async () => 'probe',
    });

    await deliverSet('one', 'two', 'three');

    expect(results).toEqual([
      ['two', RELEASED],
      ['three', RELEASED],
      ['one', DELIVERED],
    ]);
    expect([batched, sentAlone, released]).toEqual([[], [['one', 'probe']], ['probe']]);
  });

  it('no permit → all are released, and nothing is sent', async () => {
    const { deliverSet, batched, sentAlone, released, results } = setup({
      acquire: async () => undefined,
    });

    await deliverSet('one', 'two');

    expect(results.toSorted()).toEqual([
      ['one', RELEASED],
      ['two', RELEASED],
    ]);
    expect([batched, sentAlone, released]).toEqual([[], [], []]);
  });

  it('circuit breaker cannot be read → all are released, and nothing is sent', async () => {
    const { deliverSet, batched, results } = setup({
      acquire: () => Promise.reject(new Error('ECONNRESET')),
    });

    await deliverSet('one', 'two');

    expect(results.map(([, result]) => result)).toEqual([RELEASED, RELEASED]);
    expect(batched).toEqual([]);
  });

  it('the worker stops while it waits for a permit → all are released', async () => {
    const aborter = new AbortController();
    const { deliverSet, batched, results } = setup({
      abort: aborter.signal,
      acquire: (abort) =>
        new Promise((_, reject) => {
          abort?.addEventListener('abort', () => reject(abort.reason));
        }),
    });

    const delivering = deliverSet('one', 'two');
    aborter.abort('stopping');
    await delivering;

    expect(results.map(([, result]) => result)).toEqual([RELEASED, RELEASED]);
    expect(batched).toEqual([]);
  });
});

describe('identifiers', () => {
  const cannotLookUp = { kind: 'deferred', code: 'QUEUE' };

  it.each<{ what: string; resolve: () => Resolution; result: object }>([
    {
      what: 'skipped resolution → is skipped without a request',
      resolve: () => ({ kind: 'skipped', reason: 'no-token' }),
      result: { kind: 'attempted', outcome: { kind: 'skipped', reason: 'no-token' } },
    },
    {
      what: 'undecryptable token → is deferred',
      resolve: () => ({ kind: 'undecryptable' }),
      result: { kind: 'deferred', code: 'TOKEN_KEY' },
    },
    {
      what: 'token cannot be looked up → is deferred',
      resolve: () => Promise.reject(new Error('ECONNRESET')),
      result: cannotLookUp,
    },
    {
      what: 'token cannot be decrypted for an error → is deferred',
      resolve: () => {
        throw new TypeError('bug');
      },
      result: cannotLookUp,
    },
  ])('$what, in a set, as a probe and alone', async ({ resolve, result }) => {
    const asSet = setup({ resolve });
    const asProbe = setup({ resolve, acquire: async () => 'probe' });
    const alone = setup({ resolve });

    await asSet.deliverSet('one');
    await asProbe.deliverSet('one');

    expect(asSet.results).toEqual([['one', expect.objectContaining(result)]]);
    expect(asProbe.results).toEqual([['one', expect.objectContaining(result)]]);
    await expect(alone.deliverAlone()).resolves.toMatchObject(result);
    expect([asSet.batchedIds().join(''), asSet.sentAlone]).toEqual(['', []]);
    expect([asProbe.sentAlone, alone.sentAlone]).toEqual([[], []]);
    expect([asProbe.released, alone.released]).toEqual([['probe'], ['normal']]);
  });

  it('some need lookups → the set is sent in its order, without those that are not sent', async () => {
    const resolutions: Record<string, () => Resolution> = {
      looked: async () => ({ kind: 'resolved', signal: SIGNAL, tokenUsed: TOKEN_USED }),
      missing: async () => ({ kind: 'skipped', reason: 'no-token' }),
      broken: () => Promise.reject(new Error('ECONNRESET')),
      locked: () => ({ kind: 'undecryptable' }),
    };
    const { deliverSet, batched, batchedIds, results } = setup({
      resolve: (id) => resolutions[id]?.() ?? RESOLVED,
    });

    await deliverSet('one', 'looked', 'missing', 'two', 'broken', 'locked', 'three');

    expect(batchedIds()).toEqual(['one looked two three']);
    expect(batched[0]?.map(({ tokenUsed }) => tokenUsed)).toEqual([
      undefined,
      TOKEN_USED,
      undefined,
      undefined,
    ]);
    expect(results).toMatchObject([
      ['missing', { kind: 'attempted', outcome: { kind: 'skipped' } }],
      ['broken', { kind: 'deferred', code: 'QUEUE' }],
      ['locked', { kind: 'deferred', code: 'TOKEN_KEY' }],
    ]);
  });

  it('resolved token → is sent with it, and the result says which token was used', async () => {
    const signal = acceptedBySeek(buildSignal({ token: 'looked up' }));
    const { deliverAlone, deliverSet, batched } = setup({
      resolve: () => ({ kind: 'resolved', signal, tokenUsed: TOKEN_USED }),
    });

    await expect(deliverAlone()).resolves.toEqual({ ...DELIVERED, tokenUsed: TOKEN_USED });
    await deliverSet('one');
    expect(batched).toMatchObject([[{ signalId: 'one', signal, tokenUsed: TOKEN_USED }]]);
  });
});

describe('signal alone', () => {
  it('normal permit → does not go through the batcher', async () => {
    const { deliverAlone, batched, sentAlone, released, results } = setup();

    await expect(deliverAlone()).resolves.toEqual(DELIVERED);

    expect([batched, sentAlone]).toEqual([[], [['one', 'normal']]]);
    expect([released, results]).toEqual([['normal'], []]);
  });

  it('probe → is sent, then the permit is released', async () => {
    const { deliverAlone, sentAlone, released } = setup({ acquire: async () => 'probe' });

    await expect(deliverAlone()).resolves.toEqual(DELIVERED);

    expect([sentAlone, released]).toEqual([[['one', 'probe']], ['probe']]);
  });

  it('no permit → is released, and nothing is sent', async () => {
    const { deliverAlone, sentAlone, released } = setup({ acquire: async () => undefined });

    await expect(deliverAlone()).resolves.toEqual(RELEASED);
    expect([sentAlone, released]).toEqual([[], []]);
  });
});

describe('withTokenUsed', () => {
  it.each<DeliveryResult>([
    RELEASED,
    { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Too many' },
  ])('$kind → names no token, because none was sent', (delivery) => {
    expect(withTokenUsed({ tokenUsed: TOKEN_USED }, delivery)).toBe(delivery);
  });

  it('attempted → names the token, if the signal was sent with one of an application', () => {
    expect(withTokenUsed({ tokenUsed: TOKEN_USED }, DELIVERED)).toEqual({
      ...DELIVERED,
      tokenUsed: TOKEN_USED,
    });
    expect(withTokenUsed({ tokenUsed: undefined }, DELIVERED)).toBe(DELIVERED);
  });
});
