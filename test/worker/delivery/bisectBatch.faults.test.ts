import fc from 'fast-check';

import { answer, anyRows, OUTCOMES, outcomeOf, type Row, setup } from './setupBisectBatch.ts';

const BUG = new TypeError('could not read seek-token-1');
const fails = () => {
  throw BUG;
};
const FAULT = 'retry FAULT';

describe('internal error', () => {
  it('signal sent alone → is retried, and its message is neither stored nor logged', async () => {
    const { bisectBatch, results, logs } = setup({ rows: ['good'], reply: fails });

    await bisectBatch('probe');

    const outcome = { kind: 'retry', code: 'FAULT', reason: 'internal error: TypeError' };
    expect(results()).toEqual([[{ kind: 'attempted', outcome }]]);
    expect(logs.lines()).toMatchObject([
      {
        level: 'error',
        msg: 'Attempt failed: internal error',
        signalIds: ['0'],
        fault: 'TypeError',
      },
    ]);
    expect(logs.text() + JSON.stringify(results())).not.toContain('seek-token-1');
  });

  it('→ the log names the place', async () => {
    const { bisectBatch, logs } = setup({ rows: ['good'], reply: fails });

    await bisectBatch();

    const at = expect.arrayContaining([expect.stringContaining('bisectBatch.faults.test.ts')]);
    expect(logs.lines()[0]).toHaveProperty('at', at);
  });

  it('something thrown that is no error → is retried all the same', async () => {
    const { bisectBatch, results } = setup({
      rows: ['good', 'good'],
      reply: () => {
        throw 'a text';
      },
    });

    await bisectBatch();

    expect(results().flat().map(outcomeOf)).toEqual([FAULT, FAULT]);
  });

  it('after some results → those results stay, and only the others are retried', async () => {
    const rows: Row[] = ['named', 'good', 'good'];
    const { bisectBatch, results, logs } = setup({
      rows,
      reply: (_, request) => (request === 2 ? fails() : answer(rows)),
    });

    await bisectBatch();

    // Nothing confirms the named row any more, so it is sent alone.
    expect(results().map((each) => each.map(outcomeOf))).toEqual([
      ['dead BAD_USER_INPUT'],
      [FAULT],
      [FAULT],
    ]);
    expect(logs.lines().at(-1)).toMatchObject({ signalIds: ['1', '2'] });
  });

  it('in one part of a batch → the other parts get their own results first', async () => {
    let answerOther = () => {};
    const other = new Promise<void>((resolve) => {
      answerOther = resolve;
    });
    const { bisectBatch, results } = setup({
      rows: ['good', 'good', 'unnamed', 'good'],
      reply: (sent) => (sent.length === 2 && sent[0]?.signalId === '2' ? fails() : undefined),
      wait: (_, ids) => (ids.length === 2 && ids[0] === 0 ? other : undefined),
    });

    const bisecting = bisectBatch();
    await new Promise(setImmediate);
    expect(results()).toEqual([[], [], [], []]);
    answerOther();
    await bisecting;

    expect(results().map((each) => each.map(outcomeOf))).toEqual([
      ['delivered'],
      ['delivered'],
      [FAULT],
      [FAULT],
    ]);
  });

  it('in any requests → each signal gets exactly one result', async () => {
    const anyFaults = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(anyRows, anyFaults, async (rows, faults) => {
        const { bisectBatch, results } = setup({
          rows,
          reply: (_, request) => (faults.includes(request) ? fails() : undefined),
        });

        await bisectBatch();

        for (const [row, each] of results().entries()) {
          expect(each).toHaveLength(1);
          expect([OUTCOMES[rows[row] ?? 'good'], FAULT]).toContain(outcomeOf(each[0]));
        }
      }),
    );
  });
});
