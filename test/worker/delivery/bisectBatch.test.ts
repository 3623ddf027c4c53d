import {
  FORBIDDEN,
  OUTCOMES,
  outcomeOf,
  type Result,
  type Row,
  setup,
} from './setupBisectBatch.ts';

describe('signal sent alone', () => {
  it.each<{ what: string; result: Result; outcome: object; errors?: unknown }>([
    { what: 'accepted', result: { kind: 'accepted' }, outcome: { kind: 'delivered' } },
    {
      what: 'an error',
      result: { kind: 'refused', errors: [FORBIDDEN] },
      outcome: { kind: 'dead', code: 'FORBIDDEN', reason: 'No' },
      errors: [FORBIDDEN],
    },
    {
      what: 'HTML',
      result: { kind: 'unreadable', status: 502, retryAfterMs: 7_000 },
      outcome: {
        kind: 'retry',
        code: 'HTTP_502',
        reason: 'HTTP 502 without a GraphQL answer',
        retryAfterMs: 7_000,
      },
    },
    {
      what: 'a timeout',
      result: { kind: 'unreachable', reason: 'no answer within 10 ms', unsent: false },
      outcome: { kind: 'retry', code: 'UNREACHABLE', reason: 'no answer within 10 ms' },
    },
  ])('answer: $what → one result, as SEEK answered', async ({ result, outcome, errors }) => {
    const { bisectBatch, results, requests, logs } = setup({ rows: ['good'], reply: () => result });

    await bisectBatch('probe');

    expect(results()).toEqual([
      [
        {
          kind: 'attempted',
          outcome,
          requestId: 'request-1',
          ...(errors === undefined ? {} : { errors }),
        },
      ],
    ]);
    expect(requests).toMatchObject([{ ids: [0], permit: 'probe' }]);
    expect(logs.text()).toBe('');
  });

  it.each([
    { breakerOpen: false, status: 404, outcome: { kind: 'retry', maxInARow: 8 } },
    // The address is wrong, not the signal.
    { breakerOpen: true, status: 404, outcome: { kind: 'retry' } },
    { breakerOpen: false, status: 413, outcome: { kind: 'retry', maxInARow: 8 } },
    { breakerOpen: true, status: 413, outcome: { kind: 'retry' } },
    { breakerOpen: true, status: 503, outcome: { kind: 'retry' } },
  ])(
    'HTTP $status without GraphQL, breaker open: $breakerOpen → $outcome',
    async ({ status, outcome, breakerOpen }) => {
      const { bisectBatch, results } = setup({
        rows: ['good'],
        reply: () => ({ kind: 'unreadable', status }),
        breakerOpen,
      });

      await bisectBatch('probe');

      const reason = `HTTP ${status} without a GraphQL answer`;
      expect(results()[0]).toEqual([
        expect.objectContaining({ outcome: { ...outcome, code: `HTTP_${status}`, reason } }),
      ]);
    },
  );

  it('FORBIDDEN while the breaker is open → dead', async () => {
    const { bisectBatch, results } = setup({ rows: ['forbidden'], breakerOpen: true });

    await bisectBatch('probe');

    expect(results()[0]?.map(outcomeOf)).toEqual(['dead FORBIDDEN']);
  });
});

describe('answer without errors that is not true', () => {
  it.each([false, null, 'absent'])(
    'batch answered %p → is delivered whole by one request, and each signal has the value',
    async (value) => {
      const { bisectBatch, sent, results, unconfirmed } = setup({
        rows: ['good', 'good', 'good'],
        reply: () => ({ kind: 'accepted', unconfirmed: value }),
      });

      await bisectBatch();

      const delivered = {
        kind: 'attempted',
        outcome: { kind: 'delivered' },
        requestId: 'request-1',
        seekAnswer: value,
      };
      expect(results()).toEqual([[delivered], [delivered], [delivered]]);
      expect(sent()).toEqual([[0, 1, 2]]);
      expect(unconfirmed).toEqual([{ requestId: 'request-1', value, signals: 3 }]);
    },
  );

  it('rest of a rejected batch answered false → the named row is bad, and only the rest is reported', async () => {
    const { bisectBatch, sent, results, unconfirmed } = setup({
      rows: ['good', 'named', 'good'],
      reply: (_, request) => (request === 1 ? undefined : { kind: 'accepted', unconfirmed: false }),
    });

    await bisectBatch();

    expect(sent()).toEqual([
      [0, 1, 2],
      [0, 2],
    ]);
    expect(results().flat().map(outcomeOf)).toEqual(['delivered', OUTCOMES.named, 'delivered']);
    expect(unconfirmed).toEqual([{ requestId: 'request-2', value: false, signals: 2 }]);
  });

  it('answer true → nothing is reported', async () => {
    const { bisectBatch, unconfirmed } = setup({ rows: ['good'] });

    await bisectBatch();

    expect(unconfirmed).toEqual([]);
  });
});

describe('server without sendSignals', () => {
  const UNKNOWN: Result = {
    kind: 'refused',
    errors: [
      {
        message: 'Cannot query field "sendSignals" on type "Mutation".',
        extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
      },
    ],
  };

  it('rejects a batch → each signal is sent alone, and it is reported once', async () => {
    const rows: Row[] = ['good', 'forbidden', 'crashing', 'good'];
    const { bisectBatch, sent, results, unknownMutations } = setup({
      rows,
      reply: (entries) => (entries.length > 1 ? UNKNOWN : undefined),
    });

    await bisectBatch();

    expect(sent()).toEqual([[0, 1, 2, 3], [0], [1], [2], [3]]);
    expect(results().map((each) => each.map(outcomeOf))).toEqual(
      rows.map((row) => [OUTCOMES[row]]),
    );
    expect(unknownMutations).toEqual([1]);
  });

  it('rejects a single signal → it is not reported', async () => {
    const { bisectBatch, results, unknownMutations } = setup({
      rows: ['good'],
      reply: () => UNKNOWN,
    });

    await bisectBatch();

    expect(unknownMutations).toEqual([]);
    expect(results()).toMatchObject([
      [{ outcome: { kind: 'retry', code: 'GRAPHQL_VALIDATION_FAILED' } }],
    ]);
  });
});
