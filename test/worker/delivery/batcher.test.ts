import { createBatcher } from '../../../src/worker/delivery/batcher.ts';
import type { DeliveryResult } from '../../../src/worker/delivery/bisectBatch.ts';
import type { Entry } from '../../../src/worker/delivery/sendAuthorised.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';

const { jest } = import.meta;

const DELIVERED: DeliveryResult = { kind: 'attempted', outcome: { kind: 'delivered' } };
const HANDED_BACK: DeliveryResult = { kind: 'released' };

const LINGER_MS = 20;

type Departure = {
  ids: string[];
  /** Settles all, and frees the road. */
  arrive: () => Promise<void>;
  fail: (err: Error) => Promise<void>;
  settle: (id: string) => void;
};

/** Batches depart, and stay under way until the test says otherwise. */
const setup = ({ size = 3 } = {}) => {
  const departures: Departure[] = [];
  const passes: string[] = [];
  const settled: Record<string, unknown> = {};
  const batcher = createBatcher({
    size,
    lingerMs: LINGER_MS,
    bisectBatch: (entries, permit, settle) =>
      new Promise<void>((resolve, reject) => {
        passes.push(permit);
        const settleOne = (id: string) => {
          const entry = entries.find(({ signalId }) => signalId === id);
          if (entry !== undefined) settle(entry, DELIVERED);
        };
        const ids = entries.map(({ signalId }) => signalId);
        departures.push({
          ids,
          settle: settleOne,
          arrive: async () => {
            for (const id of ids) settleOne(id);
            resolve();
            await flush();
          },
          fail: async (err) => {
            reject(err);
            await flush();
          },
        });
      }),
  });
  const send = (...ids: string[]) => {
    for (const signalId of ids) {
      const entry: Entry = { signalId, signal: acceptedBySeek(buildSignal()) };
      batcher.send(entry).then(
        (delivery) => {
          settled[signalId] = delivery;
        },
        (err: unknown) => {
          settled[signalId] = err;
        },
      );
    }
  };

  return {
    send,
    departed: () => departures.map(({ ids }) => ids.join('')),
    /** The batch that departed as number `number`, from 1. */
    batch: (number: number): Departure => {
      const found = departures[number - 1];
      if (found === undefined) throw new Error(`${departures.length} batches departed`);
      return found;
    },
    ...{ batcher, passes, settled },
  };
};

const flush = () => jest.advanceTimersByTimeAsync(0);

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe('a signal', () => {
  it('leaves alone and at once when nothing is under way', async () => {
    const { send, departed, batch, passes, settled } = setup();

    send('a');
    expect(departed()).toEqual(['a']);
    await batch(1).arrive();

    expect(settled).toEqual({ a: DELIVERED });
    expect(passes).toEqual(['normal']);
  });

  it('leaves at once again when the one before it has arrived', async () => {
    const { send, departed, batch } = setup();

    send('a');
    await batch(1).arrive();
    send('b');

    expect(departed()).toEqual(['a', 'b']);
  });

  it('shares a batch with those that come while others are under way', async () => {
    const { send, departed } = setup();

    send('a', 'b', 'c');
    expect(departed()).toEqual(['a']);
    await jest.advanceTimersByTimeAsync(LINGER_MS);

    expect(departed()).toEqual(['a', 'bc']);
  });

  it('waits no longer for company than it may, counted from the first of the batch', async () => {
    const { send, departed } = setup();
    send('a', 'b');

    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);
    send('c');
    expect(departed()).toEqual(['a']);
    await jest.advanceTimersByTimeAsync(1);

    expect(departed()).toEqual(['a', 'bc']);
  });

  it('leaves at once with a batch that is full', () => {
    const { send, departed } = setup();

    send('a', 'b', 'c', 'd', 'e');

    expect(departed()).toEqual(['a', 'bcd']);
  });

  it('begins a new wait after a batch that was full', async () => {
    const { send, departed } = setup();
    send('a', 'b');
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);

    send('c', 'd', 'e');
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);
    expect(departed()).toEqual(['a', 'bcd']);
    await jest.advanceTimersByTimeAsync(1);

    expect(departed()).toEqual(['a', 'bcd', 'e']);
  });

  it('leaves as soon as the road is free', async () => {
    const { send, departed, batch } = setup();
    send('a', 'b', 'c');

    await batch(1).arrive();

    expect(departed()).toEqual(['a', 'bc']);
  });

  it('is not held up by the end of one batch while another is under way', async () => {
    const { send, departed, batch } = setup();
    send('a', 'b', 'c', 'd', 'e');

    await batch(1).arrive();
    expect(departed()).toEqual(['a', 'bcd']);
    await batch(2).arrive();

    expect(departed()).toEqual(['a', 'bcd', 'e']);
  });

  it('leaves in the order of arrival, and once', async () => {
    const { send, departed, batch } = setup();
    send(...'abcdefghij');
    await batch(1).arrive();
    await jest.advanceTimersByTimeAsync(10 * LINGER_MS);

    expect(departed()).toEqual(['a', 'bcd', 'efg', 'hij']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is told what it came to as soon as that is known, whatever the others wait for', async () => {
    const { send, batch, settled } = setup();
    send('a', 'b', 'c', 'd');

    batch(2).settle('c');
    await flush();

    expect(settled).toEqual({ c: DELIVERED });
  });
});

describe('a fault of ours', () => {
  it('hits those of the batch that were not settled yet, and nobody else', async () => {
    const { send, batch, settled } = setup();
    const bug = new TypeError('bug');
    send('a', 'b', 'c', 'd');

    batch(2).settle('c');
    await batch(2).fail(bug);
    expect(settled).toEqual({ b: bug, c: DELIVERED, d: bug });
    await batch(1).arrive();

    expect(settled).toEqual({ a: DELIVERED, b: bug, c: DELIVERED, d: bug });
  });

  it('frees the road', async () => {
    const { send, departed, batch } = setup();
    send('a', 'b');

    await batch(1).fail(new TypeError('bug'));

    expect(departed()).toEqual(['a', 'b']);
  });
});

describe('stopping to batch', () => {
  it('sends every signal alone from then on, at once', () => {
    const { batcher, send, departed } = setup();

    batcher.stopBatching();
    send('a', 'b', 'c');

    expect(departed()).toEqual(['a', 'b', 'c']);
  });

  it('strands nobody who was waiting', async () => {
    const { batcher, send, departed, batch } = setup();
    send('a', 'b', 'c');

    batcher.stopBatching();
    await batch(1).arrive();
    await jest.advanceTimersByTimeAsync(2 * LINGER_MS);

    expect(departed()).toEqual(['a', 'b', 'c']);
  });

  it('tells whether there was anything to stop', () => {
    const { batcher } = setup();

    expect([batcher.stopBatching(), batcher.stopBatching()]).toEqual([true, false]);
    expect(setup({ size: 1 }).batcher.stopBatching()).toBe(false);
  });
});

describe('batches of one', () => {
  it('all leave at once', () => {
    const { send, departed } = setup({ size: 1 });

    send('a', 'b', 'c');

    expect(departed()).toEqual(['a', 'b', 'c']);
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('whatever a signal comes to', () => {
  it.each<DeliveryResult>([
    DELIVERED,
    HANDED_BACK,
    { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Too many' },
  ])('is handed on: $kind', async (delivery) => {
    const { send } = createBatcher({
      size: 3,
      lingerMs: LINGER_MS,
      bisectBatch: async (entries, _, settle) => {
        for (const entry of entries) settle(entry, delivery);
      },
    });

    await expect(send({ signalId: 'a', signal: acceptedBySeek(buildSignal()) })).resolves.toBe(
      delivery,
    );
  });
});
