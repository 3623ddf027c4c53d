import type { Permit } from '../../../src/worker/circuitBreaker/circuitBreaker.ts';
import type { DeliveryResult } from '../../../src/worker/delivery/bisectBatch.ts';
import { createDeliverSignal } from '../../../src/worker/delivery/deliverSignal.ts';
import type { TokenResolution } from '../../../src/worker/delivery/resolveToken.ts';
import type { Entry } from '../../../src/worker/delivery/sendAuthorised.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';

const DELIVERED: DeliveryResult = {
  kind: 'attempted',
  outcome: { kind: 'delivered' },
  requestId: 'request-1',
};
const HANDED_BACK: DeliveryResult = { kind: 'released' };

type Doubles = {
  acquire?: (abort?: AbortSignal) => Promise<Permit | undefined>;
  /** What a signal comes to that is sent alone; `undefined`: nothing is said of it. */
  alone?: DeliveryResult | Error | undefined;
  tokenUsed?: TokenResolution | Error;
};

const setup = ({ acquire = async () => 'normal', ...doubles }: Doubles = {}) => {
  const alone = 'alone' in doubles ? doubles.alone : DELIVERED;
  const inCompany: Entry[] = [];
  const apart: unknown[] = [];
  const left: Permit[] = [];
  const entry: Entry = { signalId: 'one', signal: acceptedBySeek(buildSignal()) };
  const { tokenUsed = { kind: 'resolved', signal: entry.signal } } = doubles;
  const dispatch = createDeliverSignal({
    breaker: { acquire, release: (permit) => void left.push(permit) },
    resolveToken: async () => {
      if (tokenUsed instanceof Error) throw tokenUsed;
      return tokenUsed;
    },
    batcher: {
      send: async (sent) => {
        inCompany.push(sent);
        return DELIVERED;
      },
    },
    bisectBatch: async (entries, permit, settle) => {
      apart.push([entries, permit]);
      if (alone instanceof Error) throw alone;
      for (const entry of entries) if (alone !== undefined) settle(entry, alone);
    },
  });
  return {
    dispatch: (batching?: 'allowed' | 'never', abort?: AbortSignal) =>
      dispatch(abort === undefined ? entry : { ...entry, abort }, batching),
    ...{ entry, inCompany, apart, left },
  };
};

describe('a signal', () => {
  it('travels in company while the lane is open', async () => {
    const { dispatch, entry, inCompany, apart, left } = setup();

    await expect(dispatch()).resolves.toEqual(DELIVERED);

    expect(inCompany).toEqual([entry]);
    expect([apart, left]).toEqual([[], ['normal']]);
  });

  it('travels alone if it is to', async () => {
    const { dispatch, entry, inCompany, apart } = setup();

    await expect(dispatch('never')).resolves.toEqual(DELIVERED);

    expect(inCompany).toEqual([]);
    expect(apart).toEqual([[[entry], 'normal']]);
  });

  it.each(['allowed', 'never'] as const)(
    'that probes the lane travels alone, and leaves when it comes to an end (company: %s)',
    async (batching) => {
      const { dispatch, entry, inCompany, apart, left } = setup({ acquire: async () => 'probe' });

      await expect(dispatch(batching)).resolves.toEqual(DELIVERED);

      expect(inCompany).toEqual([]);
      expect(apart).toEqual([[[entry], 'probe']]);
      expect(left).toEqual(['probe']);
    },
  );

  it('that fails by a fault of ours leaves the lane nevertheless', async () => {
    const { dispatch, left } = setup({ acquire: async () => 'probe', alone: new TypeError('bug') });

    await expect(dispatch()).rejects.toThrow('bug');
    expect(left).toEqual(['probe']);
  });

  it('of which nothing was said is handed back', async () => {
    const { dispatch } = setup({ alone: undefined });

    await expect(dispatch('never')).resolves.toEqual(HANDED_BACK);
  });

  it('that is not admitted is handed back, and nothing is sent', async () => {
    const { dispatch, inCompany, apart, left } = setup({ acquire: async () => undefined });

    await expect(dispatch()).resolves.toEqual(HANDED_BACK);
    expect([inCompany, apart, left]).toEqual([[], [], []]);
  });

  it('is handed back when it is let go while it waits to be admitted', async () => {
    const abort = new AbortController();
    const { dispatch, inCompany } = setup({
      acquire: (given) =>
        new Promise((_, reject) => {
          given?.addEventListener('abort', () => reject(given.reason));
        }),
    });

    const delivery = dispatch('allowed', abort.signal);
    abort.abort();

    await expect(delivery).resolves.toEqual(HANDED_BACK);
    expect(inCompany).toEqual([]);
  });

  it('whose lane cannot be asked is handed back, and nothing is sent', async () => {
    const { dispatch, inCompany, apart, left } = setup({
      acquire: () => Promise.reject(new Error('ECONNRESET')),
    });

    await expect(dispatch()).resolves.toEqual(HANDED_BACK);
    expect([inCompany, apart, left]).toEqual([[], [], []]);
  });

  it('goes as it was bound, and tells of that', async () => {
    const signal = acceptedBySeek(buildSignal({ token: 'looked up' }));
    const tokenUsed = {
      source: 'linkOut',
      receivedAt: '2026-03-01T00:00:00Z',
      expired: true,
    } as const;
    const { dispatch, inCompany } = setup({ tokenUsed: { kind: 'resolved', signal, tokenUsed } });

    await expect(dispatch()).resolves.toEqual({ ...DELIVERED, tokenUsed });
    expect(inCompany).toEqual([{ signalId: 'one', signal }]);
  });

  it.each<{ what: string; tokenUsed: TokenResolution | Error; comes: object }>([
    {
      what: 'that is to be skipped is so, without a request',
      tokenUsed: { kind: 'skipped', reason: 'no-token' },
      comes: { kind: 'attempted', outcome: { kind: 'skipped', reason: 'no-token' } },
    },
    {
      what: 'whose token is sealed to us waits for a worker with the key',
      tokenUsed: { kind: 'undecryptable' },
      comes: { kind: 'deferred', code: 'TOKEN_KEY' },
    },
    {
      what: 'whose token cannot be looked up waits',
      tokenUsed: new Error('ECONNRESET'),
      comes: { kind: 'deferred', code: 'QUEUE' },
    },
  ])('$what, and leaves the lane', async ({ tokenUsed, comes }) => {
    const { dispatch, inCompany, apart, left } = setup({ acquire: async () => 'probe', tokenUsed });

    await expect(dispatch()).resolves.toMatchObject(comes);
    expect([inCompany, apart, left]).toEqual([[], [], ['probe']]);
  });
});
