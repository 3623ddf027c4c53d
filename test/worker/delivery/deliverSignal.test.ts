import type { Permit } from '../../../src/worker/circuitBreaker/circuitBreaker.ts';
import type { DeliveryResult } from '../../../src/worker/delivery/bisectBatch.ts';
import { createDeliverSignal } from '../../../src/worker/delivery/deliverSignal.ts';
import type { IdentifierResolution } from '../../../src/worker/delivery/resolveIdentifiers.ts';
import type { Entry } from '../../../src/worker/delivery/sendAuthorised.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';

const DELIVERED: DeliveryResult = {
  kind: 'attempted',
  outcome: { kind: 'delivered' },
  requestId: 'request-1',
};
const RELEASED: DeliveryResult = { kind: 'released' };

type Doubles = {
  acquire?: (abort?: AbortSignal) => Promise<Permit | undefined>;
  /** The result of a signal that is sent alone. `undefined`: `bisectBatch` reports none. */
  alone?: DeliveryResult | Error | undefined;
  resolution?: IdentifierResolution | Error;
};

const setup = ({ acquire = async () => 'normal', ...doubles }: Doubles = {}) => {
  const alone = 'alone' in doubles ? doubles.alone : DELIVERED;
  const batched: Entry[] = [];
  const sentAlone: unknown[] = [];
  const released: Permit[] = [];
  const entry: Entry = { signalId: 'one', signal: acceptedBySeek(buildSignal()) };
  const unresolved = { ...entry, acceptedAt: '2026-03-01T00:00:00Z' };
  const { resolution = { kind: 'resolved', signal: entry.signal } } = doubles;
  const deliverSignal = createDeliverSignal({
    breaker: { acquire, release: (permit) => void released.push(permit) },
    resolveIdentifiers: async () => {
      if (resolution instanceof Error) throw resolution;
      return resolution;
    },
    batcher: {
      send: async (sent) => {
        batched.push(sent);
        return DELIVERED;
      },
    },
    bisectBatch: async (entries, permit, onResult) => {
      sentAlone.push([entries, permit]);
      if (alone instanceof Error) throw alone;
      for (const entry of entries) if (alone !== undefined) onResult(entry, alone);
    },
  });
  return {
    deliver: (batching?: 'allowed' | 'never', abort?: AbortSignal) =>
      deliverSignal(abort === undefined ? unresolved : { ...unresolved, abort }, batching),
    entry,
    batched,
    sentAlone,
    released,
  };
};

describe('deliverSignal', () => {
  it('normal permit → goes through the batcher', async () => {
    const { deliver, entry, batched, sentAlone, released } = setup();

    await expect(deliver()).resolves.toEqual(DELIVERED);

    expect(batched).toEqual([entry]);
    expect([sentAlone, released]).toEqual([[], ['normal']]);
  });

  it('batching never → is sent alone', async () => {
    const { deliver, entry, batched, sentAlone } = setup();

    await expect(deliver('never')).resolves.toEqual(DELIVERED);

    expect(batched).toEqual([]);
    expect(sentAlone).toEqual([[[entry], 'normal']]);
  });

  it.each(['allowed', 'never'] as const)(
    'probe, batching %s → is sent alone, then the permit is released',
    async (batching) => {
      const { deliver, entry, batched, sentAlone, released } = setup({
        acquire: async () => 'probe',
      });

      await expect(deliver(batching)).resolves.toEqual(DELIVERED);

      expect(batched).toEqual([]);
      expect(sentAlone).toEqual([[[entry], 'probe']]);
      expect(released).toEqual(['probe']);
    },
  );

  it('internal error → the permit is released', async () => {
    const { deliver, released } = setup({
      acquire: async () => 'probe',
      alone: new TypeError('bug'),
    });

    await expect(deliver()).rejects.toThrow('bug');
    expect(released).toEqual(['probe']);
  });

  it('no result reported → is released', async () => {
    const { deliver } = setup({ alone: undefined });

    await expect(deliver('never')).resolves.toEqual(RELEASED);
  });

  it('no permit → is released, and nothing is sent', async () => {
    const { deliver, batched, sentAlone, released } = setup({ acquire: async () => undefined });

    await expect(deliver()).resolves.toEqual(RELEASED);
    expect([batched, sentAlone, released]).toEqual([[], [], []]);
  });

  it('aborted while waiting for a permit → is released', async () => {
    const abort = new AbortController();
    const { deliver, batched } = setup({
      acquire: (given) =>
        new Promise((_, reject) => {
          given?.addEventListener('abort', () => reject(given.reason));
        }),
    });

    const delivery = deliver('allowed', abort.signal);
    abort.abort();

    await expect(delivery).resolves.toEqual(RELEASED);
    expect(batched).toEqual([]);
  });

  it('circuit breaker cannot be read → is released, and nothing is sent', async () => {
    const { deliver, batched, sentAlone, released } = setup({
      acquire: () => Promise.reject(new Error('ECONNRESET')),
    });

    await expect(deliver()).resolves.toEqual(RELEASED);
    expect([batched, sentAlone, released]).toEqual([[], [], []]);
  });

  it('resolved token → is sent with it, and the result says which token was used', async () => {
    const signal = acceptedBySeek(buildSignal({ token: 'looked up' }));
    const tokenUsed = {
      source: 'linkOut',
      receivedAt: '2026-03-01T00:00:00Z',
      expired: true,
    } as const;
    const { deliver, batched } = setup({
      resolution: { kind: 'resolved', signal, tokenUsed },
    });

    await expect(deliver()).resolves.toEqual({ ...DELIVERED, tokenUsed });
    expect(batched).toEqual([{ signalId: 'one', signal }]);
  });

  it.each<{ what: string; resolution: IdentifierResolution | Error; result: object }>([
    {
      what: 'skipped resolution → is skipped without a request',
      resolution: { kind: 'skipped', reason: 'no-token' },
      result: { kind: 'attempted', outcome: { kind: 'skipped', reason: 'no-token' } },
    },
    {
      what: 'undecryptable token → is deferred',
      resolution: { kind: 'undecryptable' },
      result: { kind: 'deferred', code: 'TOKEN_KEY' },
    },
    {
      what: 'token cannot be looked up → is deferred',
      resolution: new Error('ECONNRESET'),
      result: { kind: 'deferred', code: 'QUEUE' },
    },
  ])('$what, and the permit is released', async ({ resolution, result }) => {
    const { deliver, batched, sentAlone, released } = setup({
      acquire: async () => 'probe',
      resolution,
    });

    await expect(deliver()).resolves.toMatchObject(result);
    expect([batched, sentAlone, released]).toEqual([[], [], ['probe']]);
  });
});
