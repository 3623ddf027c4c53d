import fc from 'fast-check';
import { createBatcher } from '../../../src/worker/delivery/batcher.ts';
import type { DeliveryResult } from '../../../src/worker/delivery/bisectBatch.ts';
import type { Entry } from '../../../src/worker/delivery/sendAuthorised.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';

const { jest } = import.meta;

const DELIVERED: DeliveryResult = { kind: 'attempted', outcome: { kind: 'delivered' } };
const RELEASED: DeliveryResult = { kind: 'released' };

const LINGER_MS = 20;

type SentBatch = {
  ids: string[];
  /** Delivers all of its signals and ends. */
  finish: () => Promise<void>;
  deliver: (id: string) => void;
};

const entryOf = (signalId: string, bytes = 100): Entry => ({
  signalId,
  signal: acceptedBySeek(buildSignal()),
  bytes,
});

/** Every batch stays in flight until the test ends it. */
const setup = ({ size = 3, maxBytes = 1_000_000 } = {}) => {
  const batches: SentBatch[] = [];
  const permits: string[] = [];
  const results: unknown[] = [];
  const batcher = createBatcher<Entry>({
    size,
    lingerMs: LINGER_MS,
    maxBytes,
    onResult: ({ signalId }, delivery) => results.push([signalId, delivery]),
    bisectBatch: (entries, permit, onResult) =>
      new Promise<void>((resolve) => {
        permits.push(permit);
        const deliver = (id: string) => {
          const entry = entries.find(({ signalId }) => signalId === id);
          if (entry !== undefined) onResult(entry, DELIVERED);
        };
        const ids = entries.map(({ signalId }) => signalId);
        batches.push({
          ids,
          deliver,
          finish: async () => {
            for (const id of ids) deliver(id);
            resolve();
            await flush();
          },
        });
      }),
  });

  return {
    /** Sends each signal by itself. */
    send: (...ids: string[]) => {
      for (const id of ids) batcher.send([entryOf(id)]);
    },
    /** Sends the signals of one set. */
    sendSet: (ids: string, bytes?: number) =>
      batcher.send([...ids].map((id) => entryOf(id, bytes))),
    sentBatches: () => batches.map(({ ids }) => ids.join('')),
    /** The batch that was sent as number `number`, from 1. */
    batch: (number: number): SentBatch => {
      const found = batches[number - 1];
      if (found === undefined) throw new Error(`Only ${batches.length} batches were sent`);
      return found;
    },
    batcher,
    permits,
    results,
  };
};

const flush = () => jest.advanceTimersByTimeAsync(0);

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe('signal', () => {
  it('no batch in flight → is sent at once, alone', async () => {
    const { send, sentBatches, batch, permits, results } = setup();

    send('a');
    expect(sentBatches()).toEqual(['a']);
    await batch(1).finish();

    expect(results).toEqual([['a', DELIVERED]]);
    expect(permits).toEqual(['normal']);
  });

  it('previous batch has ended → is sent at once', async () => {
    const { send, sentBatches, batch } = setup();

    send('a');
    await batch(1).finish();
    send('b');

    expect(sentBatches()).toEqual(['a', 'b']);
  });

  it('batch in flight → shares the next batch with the signals that follow', async () => {
    const { send, sentBatches } = setup();

    send('a', 'b', 'c');
    expect(sentBatches()).toEqual(['a']);
    await jest.advanceTimersByTimeAsync(LINGER_MS);

    expect(sentBatches()).toEqual(['a', 'bc']);
  });

  it('batch in flight → is sent after the linger time of the batch’s first signal', async () => {
    const { send, sentBatches } = setup();
    send('a', 'b');

    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);
    send('c');
    expect(sentBatches()).toEqual(['a']);
    await jest.advanceTimersByTimeAsync(1);

    expect(sentBatches()).toEqual(['a', 'bc']);
  });

  it('fills the batch → the batch is sent at once', () => {
    const { send, sentBatches } = setup();

    send('a', 'b', 'c', 'd', 'e');

    expect(sentBatches()).toEqual(['a', 'bcd']);
  });

  it('first after a full batch → the linger time starts again', async () => {
    const { send, sentBatches } = setup();
    send('a', 'b');
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);

    send('c', 'd', 'e');
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);
    expect(sentBatches()).toEqual(['a', 'bcd']);
    await jest.advanceTimersByTimeAsync(1);

    expect(sentBatches()).toEqual(['a', 'bcd', 'e']);
  });

  it('last batch in flight ends → is sent at once', async () => {
    const { send, sentBatches, batch } = setup();
    send('a', 'b', 'c');

    await batch(1).finish();

    expect(sentBatches()).toEqual(['a', 'bc']);
  });

  it('one of two batches ends → keeps waiting for the other', async () => {
    const { send, sentBatches, batch } = setup();
    send('a', 'b', 'c', 'd', 'e');

    await batch(1).finish();
    expect(sentBatches()).toEqual(['a', 'bcd']);
    await batch(2).finish();

    expect(sentBatches()).toEqual(['a', 'bcd', 'e']);
  });

  it('ten signals → are sent in their order, each once', async () => {
    const { send, sentBatches, batch } = setup();
    send(...'abcdefghij');
    await batch(1).finish();
    await jest.advanceTimersByTimeAsync(10 * LINGER_MS);

    expect(sentBatches()).toEqual(['a', 'bcd', 'efg', 'hij']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('batch full of bytes → is sent at once, and a signal over the limit goes alone', () => {
    const { send, sentBatches } = setup({ size: 100, maxBytes: 200 });
    send('a', 'b');
    expect(sentBatches()).toEqual(['a']);

    send('c', 'd', 'e', 'f');

    expect(sentBatches()).toEqual(['a', 'bc', 'de']);
  });

  it('signals each over the limit of bytes → are sent one by one', () => {
    const { send, sentBatches } = setup({ size: 100, maxBytes: 10 });

    send('a', 'b', 'c');

    expect(sentBatches()).toEqual(['a', 'b', 'c']);
  });

  it('result known before the batch ends → is reported at once', () => {
    const { send, batch, results } = setup();
    send('a', 'b', 'c', 'd');

    batch(2).deliver('c');

    expect(results).toEqual([['c', DELIVERED]]);
  });
});

describe('set of signals', () => {
  it('no batch in flight, smaller than a batch → is sent at once, in one', () => {
    const { sendSet, sentBatches } = setup();

    sendSet('ab');

    expect(sentBatches()).toEqual(['ab']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('larger than a batch → full batches are sent at once, the rest after the linger time', async () => {
    const { sendSet, sentBatches } = setup();

    sendSet('abcdefgh');
    expect(sentBatches()).toEqual(['abc', 'def']);
    await jest.advanceTimersByTimeAsync(LINGER_MS);

    expect(sentBatches()).toEqual(['abc', 'def', 'gh']);
  });

  it('the rest of a set → shares its batch with the next set', () => {
    const { sendSet, sentBatches } = setup();

    sendSet('abcd');
    sendSet('efg');

    expect(sentBatches()).toEqual(['abc', 'def']);
  });

  it('fills a waiting batch → the linger time of its rest starts again', async () => {
    const { send, sendSet, sentBatches } = setup();
    send('a', 'b');
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);

    sendSet('cde');
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);
    expect(sentBatches()).toEqual(['a', 'bcd']);
    await jest.advanceTimersByTimeAsync(1);

    expect(sentBatches()).toEqual(['a', 'bcd', 'e']);
  });

  it('empty → nothing is sent', () => {
    const { sendSet, sentBatches } = setup();

    sendSet('');

    expect(sentBatches()).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('over the limit of bytes → batches below it', () => {
    const { sendSet, sentBatches } = setup({ size: 100, maxBytes: 250 });

    sendSet('abcdef', 100);

    // The last two do not fill a batch, so they wait.
    expect(sentBatches()).toEqual(['ab', 'cd']);
  });

  it('any sizes → each signal is sent and reported once, in order, in batches within both limits', async () => {
    const anySet = fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(anySet, { maxLength: 8 }), async (sets) => {
        const { batcher, results, batch, sentBatches } = setup({ size: 3, maxBytes: 400 });
        const bytesOf = new Map<string, number>();
        for (const set of sets) {
          const entries = set.map((bytes) => {
            const id = String.fromCodePoint(0x4e00 + bytesOf.size);
            bytesOf.set(id, bytes);
            return entryOf(id, bytes);
          });
          batcher.send(entries);
        }
        for (let number = 1; number <= sentBatches().length; number += 1) {
          await batch(number).finish();
        }

        expect(sentBatches().join('')).toBe([...bytesOf.keys()].join(''));
        expect(results).toEqual([...bytesOf.keys()].map((id) => [id, DELIVERED]));
        for (const ids of sentBatches().map((sent) => [...sent])) {
          const bytes = ids.reduce((sum, id) => sum + (bytesOf.get(id) ?? 0), 0);
          expect(ids.length).toBeLessThanOrEqual(3);
          expect(ids.length === 1 || bytes <= 400).toBe(true);
        }
        expect(jest.getTimerCount()).toBe(0);
      }),
    );
  });
});

describe('stopBatching', () => {
  it('→ every later signal is sent alone, at once', () => {
    const { batcher, send, sentBatches } = setup();

    batcher.stopBatching();
    send('a', 'b', 'c');

    expect(sentBatches()).toEqual(['a', 'b', 'c']);
  });

  it('with signals waiting → they are sent alone', async () => {
    const { batcher, send, sentBatches, batch } = setup();
    send('a', 'b', 'c');

    batcher.stopBatching();
    await batch(1).finish();
    await jest.advanceTimersByTimeAsync(2 * LINGER_MS);

    expect(sentBatches()).toEqual(['a', 'b', 'c']);
  });

  it('→ returns whether batching was on', () => {
    const { batcher } = setup();

    expect([batcher.stopBatching(), batcher.stopBatching()]).toEqual([true, false]);
    expect(setup({ size: 1 }).batcher.stopBatching()).toBe(false);
  });
});

describe('batch size 1', () => {
  it('→ every signal is sent at once', () => {
    const { send, sentBatches } = setup({ size: 1 });

    send('a', 'b', 'c');

    expect(sentBatches()).toEqual(['a', 'b', 'c']);
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('result', () => {
  it.each<DeliveryResult>([
    DELIVERED,
    RELEASED,
    { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Too many' },
  ])('$kind → is reported unchanged', async (delivery) => {
    const results: unknown[] = [];
    const { send } = createBatcher<Entry>({
      size: 3,
      lingerMs: LINGER_MS,
      onResult: (entry, result) => results.push([entry, result]),
      bisectBatch: async (entries, _, onResult) => {
        for (const entry of entries) onResult(entry, delivery);
      },
    });
    const entry = entryOf('a');

    send([entry]);

    expect(results).toEqual([[entry, delivery]]);
  });
});
