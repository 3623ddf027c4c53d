import fc from 'fast-check';

import type { SendOutcome } from '../../../src/worker/delivery/sendAuthorised.ts';
import {
  anyRows,
  badInput,
  OUTCOMES,
  outcomeOf,
  type Row,
  setup,
  TIMEOUT,
} from './setupBisectBatch.ts';

describe('batch', () => {
  it('SEEK accepts → all delivered by one request', async () => {
    const { bisectBatch, sent, results } = setup({ rows: ['good', 'good', 'good'] });

    await bisectBatch();

    expect(sent()).toEqual([[0, 1, 2]]);
    expect(results().map(([first]) => first)).toEqual(
      [0, 1, 2].map(() => ({
        kind: 'attempted',
        outcome: { kind: 'delivered' },
        requestId: 'request-1',
      })),
    );
  });

  it('SEEK names rows → they are dead with their own errors, the others are sent again', async () => {
    const { bisectBatch, sent, results, logs } = setup({
      rows: ['good', 'named', 'good', 'named'],
    });

    await bisectBatch();

    expect(sent()).toEqual([
      [0, 1, 2, 3],
      [0, 2],
    ]);
    expect(results()[1]).toEqual([
      {
        kind: 'attempted',
        outcome: {
          kind: 'dead',
          code: 'BAD_USER_INPUT',
          reason: 'Invalid; /input/token: Wrong',
        },
        requestId: 'request-1',
        errors: [badInput({ invalidFields: { '/input/token': 'Wrong' } })],
      },
    ]);
    expect(results()[2]).toMatchObject([{ requestId: 'request-2' }]);
    expect(logs.lines()).toMatchObject([
      { level: 'info', msg: 'batch.rejected', requestId: 'request-1', signals: 4 },
    ]);
  });

  it('errors of 400 KB → the log line is bounded', async () => {
    const errors = [{ message: 'm'.repeat(400_000), extensions: { code: 'FORBIDDEN' } }];
    const { bisectBatch, logs } = setup({
      rows: ['good', 'good'],
      reply: (_, request) => (request === 1 ? { kind: 'refused', errors } : undefined),
    });

    await bisectBatch();

    expect(logs.lines()).toMatchObject([{ msg: 'batch.rejected', errors: expect.any(Array) }]);
    expect(logs.text().length).toBeLessThan(6_000);
  });

  it('SEEK names no row → halves, down to the bad signal', async () => {
    const { bisectBatch, sent, results } = setup({
      rows: ['good', 'good', 'forbidden', 'good', 'good'],
    });

    await bisectBatch();

    // Round after round; the parts of a round at the same time.
    expect(sent()).toEqual([[0, 1, 2, 3, 4], [0, 1, 2], [3, 4], [0, 1], [2]]);
    expect(results().map(([first]) => outcomeOf(first))).toEqual(
      ['good', 'good', 'forbidden', 'good', 'good'].map((row) => OUTCOMES[row as Row]),
    );
  });

  it('one part takes long → the other parts are not held up', async () => {
    const gates: (() => void)[] = [];
    const { bisectBatch, sent, results } = setup({ rows: ['forbidden', 'good', 'good', 'good'] });
    const delayed = setup({
      rows: ['forbidden', 'good', 'good', 'good'],
      wait: (request) =>
        request === 2 ? new Promise<void>((resolve) => gates.push(resolve)) : undefined,
    });
    await bisectBatch();

    const all = delayed.bisectBatch();
    await new Promise(setImmediate);
    // The first half is still in flight, and the second has its results.
    expect(delayed.sent()).toEqual([
      [0, 1, 2, 3],
      [0, 1],
      [2, 3],
    ]);
    expect(delayed.results().map((each) => each.map(outcomeOf))).toEqual([
      [],
      [],
      ['delivered'],
      ['delivered'],
    ]);
    for (const open of gates) open();
    await all;

    expect(delayed.sent()).toEqual(sent());
    expect(delayed.results().map((each) => each.map(outcomeOf))).toEqual(
      results().map((each) => each.map(outcomeOf)),
    );
  });

  it.each([
    { signals: 2, parts: [1, 1] },
    { signals: 3, parts: [2, 1] },
    { signals: 10, parts: [4, 4, 2] },
    { signals: 100, parts: Array.from({ length: 10 }, () => 10) },
  ])('timeout of $signals signals → parts of $parts', async (row) => {
    const { bisectBatch, sent } = setup({
      rows: Array.from({ length: row.signals }, (): Row => 'good'),
      reply: (_, request) => (request === 1 ? TIMEOUT : undefined),
    });

    await bisectBatch();

    expect(
      sent()
        .slice(1)
        .map(({ length }) => length),
    ).toEqual(row.parts);
  });

  it('partner token renewed for one part → the other parts know of it', async () => {
    const { bisectBatch, renewedBefore } = setup({ rows: ['good', 'unnamed', 'good', 'named'] });

    await bisectBatch();
    await bisectBatch();

    const [first, ...parts] = renewedBefore.slice(0, renewedBefore.length / 2);
    expect([first, ...new Set(parts)]).toEqual([false, true]);
    expect(renewedBefore[renewedBefore.length / 2]).toBe(false);
  });

  it('SEEK times out for one of 100 signals → at most five rounds find it', async () => {
    let rounds = 0;
    const { bisectBatch, results } = setup({
      rows: Array.from({ length: 100 }, (): Row => 'good'),
      reply: (sent) => (sent.some(({ signalId }) => signalId === '57') ? TIMEOUT : undefined),
      wait: (_, ids) => {
        if (ids.includes(57)) rounds += 1;
        return undefined;
      },
    });

    await bisectBatch();

    // Requests of 100, 10, 4, 2 and 1 signals: each round costs a timeout.
    expect(rounds).toBeLessThanOrEqual(5);
    expect(results().map((each) => each.map(outcomeOf))).toEqual(
      Array.from({ length: 100 }, (_, row) => [row === 57 ? 'retry UNREACHABLE' : 'delivered']),
    );
  });

  it('any rows bad → each signal gets its own outcome, within 2n requests', async () => {
    await fc.assert(
      fc.asyncProperty(anyRows, async (rows) => {
        const { bisectBatch, requests, sent, results } = setup({ rows });

        await bisectBatch();

        expect(results().map((each) => each.map(outcomeOf))).toEqual(
          rows.map((row) => [OUTCOMES[row]]),
        );
        // Each good signal was in exactly one of the requests that SEEK accepted.
        const accepted = sent().filter((ids) => ids.every((id) => rows[id] === 'good'));
        expect(accepted.flat().toSorted((a, b) => a - b)).toEqual(
          rows.flatMap((row, id) => (row === 'good' ? [id] : [])),
        );
        expect(requests.length).toBeLessThanOrEqual(2 * rows.length);
      }),
    );
  });

  it.each<{ what: string; number: (row: number) => number | string }>([
    { what: 'counted from one', number: (row) => row + 1 },
    { what: 'counted from the end', number: (row) => 9 - row },
    { what: 'always as the first', number: () => 0 },
    { what: 'always as the last', number: () => 9 },
    { what: 'with leading zeros', number: (row) => `0${row}` },
  ])('row numbers $what → each signal gets its own outcome all the same', async (way) => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(9), { maxLength: 9 }), async (bad) => {
        const rows = Array.from(
          { length: 10 },
          (_, n): Row => (bad.includes(n) ? 'named' : 'good'),
        );
        const { bisectBatch, results } = setup({
          rows,
          reply: (sent) => {
            const wrong = sent.flatMap(({ signalId }, n) =>
              rows[+signalId] === 'named' ? [n] : [],
            );
            if (sent.length === 1 || wrong.length === 0) return undefined;
            const named = wrong.map((row) => [`/input/signals/${way.number(row)}/token`, 'Wrong']);
            const errors = [badInput({ invalidFields: Object.fromEntries(named) })];
            return { kind: 'refused', errors };
          },
        });

        await bisectBatch();

        expect(results().map((each) => each.map(outcomeOf))).toEqual(
          rows.map((row) => [OUTCOMES[row]]),
        );
      }),
    );
  });

  it('SEEK names ten of 100 rows → one further request', async () => {
    const rows = Array.from({ length: 100 }, (_, n): Row => (n % 10 === 0 ? 'named' : 'good'));
    const { bisectBatch, sent } = setup({ rows });

    await bisectBatch();

    expect(sent()).toHaveLength(2);
  });

  it.each<{ kind: string; stop: SendOutcome }>([
    { kind: 'deferred', stop: { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Too many' } },
    { kind: 'released', stop: { kind: 'released' } },
  ])('later requests are $kind → each signal gets exactly one result', async ({ kind, stop }) => {
    await fc.assert(
      fc.asyncProperty(anyRows, fc.integer({ min: 1, max: 30 }), async (rows, stopsAt) => {
        const { bisectBatch, results } = setup({
          rows,
          reply: (_, request) => (request >= stopsAt ? stop : undefined),
        });

        await bisectBatch();

        for (const [row, each] of results().entries()) {
          expect(each).toHaveLength(1);
          expect([OUTCOMES[rows[row] ?? 'good'], kind]).toContain(outcomeOf(each[0]));
        }
      }),
    );
  });
});
