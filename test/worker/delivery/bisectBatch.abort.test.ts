import { getEventListeners } from 'node:events';
import fc from 'fast-check';

import { anyRows, OUTCOMES, outcomeOf, type Row, setup } from './setupBisectBatch.ts';

describe('aborted signal', () => {
  const RELEASED = [{ kind: 'released' }];

  it('before the request → is released and not sent', async () => {
    const { bisectBatch, sent, results } = setup({
      rows: ['good', 'good', 'good'],
      abort: new Map([[1, AbortSignal.abort()]]),
    });

    await bisectBatch();

    expect(sent()).toEqual([[0, 2]]);
    expect(results()[1]).toEqual(RELEASED);
    expect(results()[2]?.map(outcomeOf)).toEqual(['delivered']);
  });

  it('all signals aborted before the request → nothing is sent', async () => {
    const aborted = AbortSignal.abort();
    const { bisectBatch, sent, results } = setup({
      rows: ['good', 'good'],
      abort: new Map([
        [0, aborted],
        [1, aborted],
      ]),
    });

    await bisectBatch();

    expect(sent()).toEqual([]);
    expect(results()).toEqual([RELEASED, RELEASED]);
  });

  it('during a request → is left out of the next one', async () => {
    const abort = new AbortController();
    const rows: Row[] = ['named', 'good', 'good'];
    const { bisectBatch, sent, results } = setup({
      rows,
      abort: new Map([[1, abort.signal]]),
      reply: () => {
        abort.abort();
        return undefined;
      },
    });

    await bisectBatch();

    expect(sent()).toEqual([[0, 1, 2], [2]]);
    expect(results().map((each) => each.map(outcomeOf))).toEqual([
      ['dead BAD_USER_INPUT'],
      ['released'],
      ['delivered'],
    ]);
  });

  it('request with two signals → is aborted only when both are', async () => {
    const aborts = [new AbortController(), new AbortController()];
    const { bisectBatch, requests } = setup({
      rows: ['good', 'good'],
      abort: new Map(aborts.map(({ signal }, row) => [row, signal])),
    });
    const bisecting = bisectBatch();
    const aborted = () => requests[0]?.abort?.aborted;

    expect(aborted()).toBe(false);
    aborts[0]?.abort('stopping');
    expect(aborted()).toBe(false);
    aborts[1]?.abort('stopping');
    expect(aborted()).toBe(true);
    expect(requests[0]?.abort?.reason).toBe('stopping');
    await bisecting;
  });

  it('many requests end → no abort listener is left behind', async () => {
    const signals = Array.from({ length: 30 }, () => new AbortController().signal);
    const { bisectBatch } = setup({
      rows: signals.map(() => 'unnamed'),
      abort: new Map(signals.entries()),
    });

    await bisectBatch();

    expect(signals.flatMap((signal) => getEventListeners(signal, 'abort'))).toEqual([]);
  });

  it('batch with a signal that cannot abort → the request gets no abort signal', async () => {
    const { bisectBatch, requests } = setup({
      rows: ['good', 'good'],
      abort: new Map([[0, new AbortController().signal]]),
    });

    await bisectBatch();

    expect(requests).toMatchObject([{ abort: undefined }]);
  });

  it('any signals aborted at any time → each signal gets exactly one result', async () => {
    const anyAborts = fc.array(fc.tuple(fc.nat(39), fc.integer({ min: 1, max: 10 })));
    await fc.assert(
      fc.asyncProperty(anyRows, anyAborts, async (rows, aborts) => {
        const controllers = new Map(aborts.map(([row]) => [row, new AbortController()]));
        const { bisectBatch, results, requests } = setup({
          rows,
          abort: new Map([...controllers].map(([row, { signal }]) => [row, signal])),
          reply: (_, request) => {
            for (const [row, at] of aborts) if (at === request) controllers.get(row)?.abort();
            return undefined;
          },
        });

        await bisectBatch();

        for (const [row, each] of results().entries()) {
          const outcome = OUTCOMES[rows[row] ?? 'good'];
          expect(each).toHaveLength(1);
          expect(controllers.has(row) ? [outcome, 'released'] : [outcome]).toContain(
            outcomeOf(each[0]),
          );
        }
        expect(requests.length).toBeLessThanOrEqual(2 * rows.length);
      }),
    );
  });
});
