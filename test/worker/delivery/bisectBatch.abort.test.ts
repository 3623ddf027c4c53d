import fc from 'fast-check';

import { anyRows, OUTCOMES, outcomeOf, type Row, setup } from './setupBisectBatch.ts';

const RELEASED = [{ kind: 'released' }];

describe('signal whose lock was lost', () => {
  it('before the request → is released and not sent', async () => {
    const { bisectBatch, lose, sent, results } = setup({ rows: ['good', 'good', 'good'] });
    lose(1);

    await bisectBatch();

    expect(sent()).toEqual([[0, 2]]);
    expect(results()[1]).toEqual(RELEASED);
    expect(results()[2]?.map(outcomeOf)).toEqual(['delivered']);
  });

  it('all of them before the request → nothing is sent', async () => {
    const { bisectBatch, lose, sent, results } = setup({ rows: ['good', 'good'] });
    lose(0, 1);

    await bisectBatch();

    expect(sent()).toEqual([]);
    expect(results()).toEqual([RELEASED, RELEASED]);
  });

  it('during a request → is left out of the next one', async () => {
    const rows: Row[] = ['named', 'good', 'good'];
    const { bisectBatch, lose, sent, results } = setup({
      rows,
      reply: () => {
        lose(1);
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

  it('any signals at any time → each signal gets exactly one result', async () => {
    const anyLosses = fc.array(fc.tuple(fc.nat(39), fc.integer({ min: 1, max: 10 })));
    await fc.assert(
      fc.asyncProperty(anyRows, anyLosses, async (rows, losses) => {
        const lost = new Set(losses.map(([row]) => row));
        const { bisectBatch, lose, results, requests } = setup({
          rows,
          reply: (_, request) => {
            for (const [row, at] of losses) if (at === request) lose(row);
            return undefined;
          },
        });

        await bisectBatch();

        for (const [row, each] of results().entries()) {
          const outcome = OUTCOMES[rows[row] ?? 'good'];
          expect(each).toHaveLength(1);
          expect(lost.has(row) ? [outcome, 'released'] : [outcome]).toContain(outcomeOf(each[0]));
        }
        expect(requests.length).toBeLessThanOrEqual(2 * rows.length);
      }),
    );
  });
});

describe('worker that stops', () => {
  it('before the request → all signals are released and none is sent', async () => {
    const { bisectBatch, sent, results } = setup({
      rows: ['good', 'good'],
      abort: AbortSignal.abort('stopping'),
    });

    await bisectBatch();

    expect(sent()).toEqual([]);
    expect(results()).toEqual([RELEASED, RELEASED]);
  });

  it('→ every request gets the abort signal', async () => {
    const { signal: abort } = new AbortController();
    const { bisectBatch, requests } = setup({ rows: ['good', 'unnamed'], abort });

    await bisectBatch();

    expect(requests.map((request) => request.abort)).toEqual([abort, abort, abort]);
  });

  it('after the first request → what it decided stays, and the others are released', async () => {
    const aborter = new AbortController();
    const { bisectBatch, sent, results } = setup({
      rows: ['named', 'named', 'good'],
      abort: aborter.signal,
      reply: () => {
        aborter.abort('stopping');
        return undefined;
      },
    });

    await bisectBatch();

    // SEEK has not accepted the other row, so nothing confirms that the named ones are bad.
    expect(sent()).toEqual([[0, 1, 2]]);
    expect(results()).toEqual([RELEASED, RELEASED, RELEASED]);
  });

  it('at any time → each signal gets exactly one result', async () => {
    await fc.assert(
      fc.asyncProperty(anyRows, fc.integer({ min: 1, max: 20 }), async (rows, stopsAt) => {
        const aborter = new AbortController();
        const { bisectBatch, results, requests } = setup({
          rows,
          abort: aborter.signal,
          reply: (_, request) => {
            if (request === stopsAt) aborter.abort('stopping');
            return undefined;
          },
        });

        await bisectBatch();

        for (const [row, each] of results().entries()) {
          expect(each).toHaveLength(1);
          expect([OUTCOMES[rows[row] ?? 'good'], 'released']).toContain(outcomeOf(each[0]));
        }
        expect(requests.length).toBeLessThanOrEqual(2 * rows.length);
      }),
    );
  });
});
