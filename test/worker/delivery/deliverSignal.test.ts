import type { Pass } from '../../../src/worker/circuitBreaker/circuitBreaker.ts';
import type { Dispatched } from '../../../src/worker/delivery/bisectBatch.ts';
import { createDispatchSignal } from '../../../src/worker/delivery/deliverSignal.ts';
import type { Bound } from '../../../src/worker/delivery/resolveToken.ts';
import type { Entry } from '../../../src/worker/delivery/sendAuthorised.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';

const DELIVERED: Dispatched = {
  kind: 'attempted',
  outcome: { kind: 'delivered' },
  requestId: 'request-1',
};
const HANDED_BACK: Dispatched = { kind: 'handedBack' };

type Doubles = {
  admit?: (abort?: AbortSignal) => Promise<Pass | undefined>;
  /** What a signal comes to that is sent alone; `undefined`: nothing is said of it. */
  alone?: Dispatched | Error | undefined;
  bound?: Bound | Error;
};

const setup = ({ admit = async () => 'open', ...doubles }: Doubles = {}) => {
  const alone = 'alone' in doubles ? doubles.alone : DELIVERED;
  const inCompany: Entry[] = [];
  const apart: unknown[] = [];
  const left: Pass[] = [];
  const entry: Entry = { signalId: 'one', signal: acceptedBySeek(buildSignal()) };
  const { bound = { kind: 'bound', signal: entry.signal } } = doubles;
  const dispatch = createDispatchSignal({
    lane: { admit, leave: (pass) => void left.push(pass) },
    bind: async () => {
      if (bound instanceof Error) throw bound;
      return bound;
    },
    batcher: {
      send: async (sent) => {
        inCompany.push(sent);
        return DELIVERED;
      },
    },
    isolate: async (entries, pass, settle) => {
      apart.push([entries, pass]);
      if (alone instanceof Error) throw alone;
      for (const entry of entries) if (alone !== undefined) settle(entry, alone);
    },
  });
  return {
    dispatch: (company?: 'welcome' | 'none', abort?: AbortSignal) =>
      dispatch(abort === undefined ? entry : { ...entry, abort }, company),
    ...{ entry, inCompany, apart, left },
  };
};

describe('a signal', () => {
  it('travels in company while the lane is open', async () => {
    const { dispatch, entry, inCompany, apart, left } = setup();

    await expect(dispatch()).resolves.toEqual(DELIVERED);

    expect(inCompany).toEqual([entry]);
    expect([apart, left]).toEqual([[], ['open']]);
  });

  it('travels alone if it is to', async () => {
    const { dispatch, entry, inCompany, apart } = setup();

    await expect(dispatch('none')).resolves.toEqual(DELIVERED);

    expect(inCompany).toEqual([]);
    expect(apart).toEqual([[[entry], 'open']]);
  });

  it.each(['welcome', 'none'] as const)(
    'that probes the lane travels alone, and leaves when it comes to an end (company: %s)',
    async (company) => {
      const { dispatch, entry, inCompany, apart, left } = setup({ admit: async () => 'probe' });

      await expect(dispatch(company)).resolves.toEqual(DELIVERED);

      expect(inCompany).toEqual([]);
      expect(apart).toEqual([[[entry], 'probe']]);
      expect(left).toEqual(['probe']);
    },
  );

  it('that fails by a fault of ours leaves the lane nevertheless', async () => {
    const { dispatch, left } = setup({ admit: async () => 'probe', alone: new TypeError('bug') });

    await expect(dispatch()).rejects.toThrow('bug');
    expect(left).toEqual(['probe']);
  });

  it('of which nothing was said is handed back', async () => {
    const { dispatch } = setup({ alone: undefined });

    await expect(dispatch('none')).resolves.toEqual(HANDED_BACK);
  });

  it('that is not admitted is handed back, and nothing is sent', async () => {
    const { dispatch, inCompany, apart, left } = setup({ admit: async () => undefined });

    await expect(dispatch()).resolves.toEqual(HANDED_BACK);
    expect([inCompany, apart, left]).toEqual([[], [], []]);
  });

  it('is handed back when it is let go while it waits to be admitted', async () => {
    const abort = new AbortController();
    const { dispatch, inCompany } = setup({
      admit: (given) =>
        new Promise((_, reject) => {
          given?.addEventListener('abort', () => reject(given.reason));
        }),
    });

    const dispatched = dispatch('welcome', abort.signal);
    abort.abort();

    await expect(dispatched).resolves.toEqual(HANDED_BACK);
    expect(inCompany).toEqual([]);
  });

  it('whose lane cannot be asked is handed back, and nothing is sent', async () => {
    const { dispatch, inCompany, apart, left } = setup({
      admit: () => Promise.reject(new Error('ECONNRESET')),
    });

    await expect(dispatch()).resolves.toEqual(HANDED_BACK);
    expect([inCompany, apart, left]).toEqual([[], [], []]);
  });

  it('goes as it was bound, and tells of that', async () => {
    const signal = acceptedBySeek(buildSignal({ token: 'looked up' }));
    const bound = { source: 'linkOut', receivedAt: '2026-03-01T00:00:00Z', expired: true } as const;
    const { dispatch, inCompany } = setup({ bound: { kind: 'bound', signal, bound } });

    await expect(dispatch()).resolves.toEqual({ ...DELIVERED, bound });
    expect(inCompany).toEqual([{ signalId: 'one', signal }]);
  });

  it.each<{ what: string; bound: Bound | Error; comes: object }>([
    {
      what: 'that is to be skipped is so, without a request',
      bound: { kind: 'skipped', reason: 'no-token' },
      comes: { kind: 'attempted', outcome: { kind: 'skipped', reason: 'no-token' } },
    },
    {
      what: 'whose token is sealed to us waits for a worker with the key',
      bound: { kind: 'sealed' },
      comes: { kind: 'deferred', code: 'TOKEN_KEY' },
    },
    {
      what: 'whose token cannot be looked up waits',
      bound: new Error('ECONNRESET'),
      comes: { kind: 'deferred', code: 'QUEUE' },
    },
  ])('$what, and leaves the lane', async ({ bound, comes }) => {
    const { dispatch, inCompany, apart, left } = setup({ admit: async () => 'probe', bound });

    await expect(dispatch()).resolves.toMatchObject(comes);
    expect([inCompany, apart, left]).toEqual([[], [], ['probe']]);
  });
});
