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
  fail: (err: Error) => Promise<void>;
  deliver: (id: string) => void;
};

/** Every batch stays in flight until the test ends it. */
const setup = ({ size = 3, maxBytes = 1_000_000 } = {}) => {
  const batches: SentBatch[] = [];
  const permits: string[] = [];
  const results: Record<string, unknown> = {};
  const batcher = createBatcher({
    size,
    lingerMs: LINGER_MS,
    maxBytes,
    bisectBatch: (entries, permit, onResult) =>
      new Promise<void>((resolve, reject) => {
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
          results[signalId] = delivery;
        },
        (err: unknown) => {
          results[signalId] = err;
        },
      );
    }
  };

  return {
    send,
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

    expect(results).toEqual({ a: DELIVERED });
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
    const one = JSON.stringify(buildSignal()).length;
    const { send, sentBatches } = setup({ size: 100, maxBytes: 2 * one });
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

  it('result known before the batch ends → resolves at once', async () => {
    const { send, batch, results } = setup();
    send('a', 'b', 'c', 'd');

    batch(2).deliver('c');
    await flush();

    expect(results).toEqual({ c: DELIVERED });
  });
});

describe('internal error', () => {
  it('→ rejects the signals of its batch that have no result yet', async () => {
    const { send, batch, results } = setup();
    const bug = new TypeError('bug');
    send('a', 'b', 'c', 'd');

    batch(2).deliver('c');
    await batch(2).fail(bug);
    expect(results).toEqual({ b: bug, c: DELIVERED, d: bug });
    await batch(1).finish();

    expect(results).toEqual({ a: DELIVERED, b: bug, c: DELIVERED, d: bug });
  });

  it('→ the next batch is sent', async () => {
    const { send, sentBatches, batch } = setup();
    send('a', 'b');

    await batch(1).fail(new TypeError('bug'));

    expect(sentBatches()).toEqual(['a', 'b']);
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
  ])('$kind → is passed on unchanged', async (delivery) => {
    const { send } = createBatcher({
      size: 3,
      lingerMs: LINGER_MS,
      bisectBatch: async (entries, _, onResult) => {
        for (const entry of entries) onResult(entry, delivery);
      },
    });

    await expect(send({ signalId: 'a', signal: acceptedBySeek(buildSignal()) })).resolves.toBe(
      delivery,
    );
  });
});
