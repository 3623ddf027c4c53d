import { getEventListeners } from 'node:events';
import fc from 'fast-check';

import type { SeekError } from '../../../src/schemas/seekApi.ts';
import {
  createBisectBatch,
  type DeliveryResult,
} from '../../../src/worker/delivery/bisectBatch.ts';
import type { Entry, SendOutcome } from '../../../src/worker/delivery/sendAuthorised.ts';
import type { SendResult } from '../../../src/worker/seek/classify.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';
import { captureLogs } from '../../support/captureLogs.ts';

/** How SEEK takes a signal: over the request that holds `poison` it stumbles, or it is `silent`. */
type Row = 'good' | 'named' | 'unnamed' | 'forbidden' | 'poison' | 'silent';
type Result = Exclude<SendResult, { kind: 'aborted' }>;

const badInput = (extensions: object = {}): SeekError => ({
  message: 'Invalid',
  extensions: { code: 'BAD_USER_INPUT', ...extensions },
});
const FORBIDDEN: SeekError = { message: 'No', extensions: { code: 'FORBIDDEN' } };
const SILENCE: Result = { kind: 'unreachable', reason: 'no answer within 10 ms', unsent: false };

/** SEEK's one answer for all rows of a request: all of them, or none. */
const answer = (rows: readonly Row[]): Result => {
  if (rows.includes('silent')) return SILENCE;
  if (rows.includes('poison')) return { kind: 'unreadable', status: 500 };
  const pointer = (row: number) => (rows.length === 1 ? '/input' : `/input/signals/${row}`);
  const named = rows.flatMap((row, n) => (row === 'named' ? [`${pointer(n)}/token`] : []));
  const errors = [
    ...(named.length > 0
      ? [badInput({ invalidFields: Object.fromEntries(named.map((each) => [each, 'Wrong'])) })]
      : []),
    ...(rows.includes('unnamed') ? [badInput()] : []),
    ...(rows.includes('forbidden') ? [FORBIDDEN] : []),
  ];
  return errors.length === 0 ? { kind: 'accepted' } : { kind: 'refused', errors };
};

const MOST_REQUESTS = 1_000;

type Play = (sent: readonly Entry[], request: number) => SendOutcome | Result | undefined;

type Setup = {
  rows: readonly Row[];
  play?: Play;
  /** Whether the lane is closed when the answer has come. */
  breakerOpen?: boolean;
  /** What an answer waits for. */
  wait?: (request: number, ids: readonly number[]) => Promise<void> | undefined;
  abort?: Map<number, AbortSignal>;
};

const setup = ({ rows, play, wait, abort = new Map(), breakerOpen = false }: Setup) => {
  const entries: Entry[] = rows.map((_, row) => ({
    signalId: `${row}`,
    signal: acceptedBySeek(buildSignal()),
    ...(abort.has(row) ? { abort: abort.get(row) } : {}),
  }));
  const requests: { ids: number[]; permit: string; abort: AbortSignal | undefined }[] = [];
  const settled = new Map<number, DeliveryResult[]>();
  const errands: boolean[] = [];
  const unknown: number[] = [];
  const logs = captureLogs();
  const rowsOf = (sent: readonly Entry[]) => sent.map(({ signalId }) => rows[+signalId] ?? 'good');

  const bisectBatch = createBisectBatch({
    sendAuthorised: async (sent, context, signal) => {
      const { permit } = context;
      const ids = sent.map(({ signalId }) => +signalId);
      const number = requests.push({ ids, permit, abort: signal });
      errands.push(context.renewed);
      context.renewed = true;
      if (number > MOST_REQUESTS) throw new Error('It goes on for ever');
      await wait?.(number, ids);
      const played = play?.(sent, number) ?? answer(rowsOf(sent));
      return played.kind === 'answered' || played.kind === 'deferred' || played.kind === 'released'
        ? played
        : { kind: 'answered', requestId: `request-${number}`, result: played, breakerOpen };
    },
    logger: logs.logger,
    onUnknown: () => unknown.push(requests.length),
  });

  return {
    bisectBatch: (permit: 'normal' | 'probe' = 'normal') =>
      bisectBatch(entries, permit, ({ signalId }, delivery) => {
        settled.set(+signalId, [...(settled.get(+signalId) ?? []), delivery]);
      }),
    /** Rows of each request. */
    sent: () => requests.map(({ ids }) => ids),
    /** What each row came to; all of it, in case it was more than one thing. */
    came: () => rows.map((_, row) => settled.get(row) ?? []),
    ...{ requests, errands, unknown, logs },
  };
};

const outcomeOf = (delivery: DeliveryResult | undefined): string =>
  delivery?.kind !== 'attempted'
    ? `${delivery?.kind}`
    : [delivery.outcome.kind, 'code' in delivery.outcome ? delivery.outcome.code : '']
        .join(' ')
        .trim();

const OUTCOMES: Record<Row, string> = {
  good: 'delivered',
  named: 'dead BAD_USER_INPUT',
  unnamed: 'dead BAD_USER_INPUT',
  forbidden: 'dead FORBIDDEN',
  poison: 'retry HTTP_500',
  silent: 'retry UNREACHABLE',
};

const anyRow = fc.constantFrom<Row>(
  ...(['good', 'good', 'named', 'unnamed', 'forbidden', 'poison', 'silent'] as const),
);
const anyRows = fc.array(anyRow, { minLength: 1, maxLength: 40 });

describe('a signal that is sent alone', () => {
  it.each<{ what: string; result: Result; outcome: object; errors?: unknown }>([
    { what: 'yes', result: { kind: 'accepted' }, outcome: { kind: 'delivered' } },
    {
      what: 'a refusal',
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
      what: 'silence',
      result: { kind: 'unreachable', reason: 'no answer within 10 ms', unsent: false },
      outcome: { kind: 'retry', code: 'UNREACHABLE', reason: 'no answer within 10 ms' },
    },
  ])('comes to what SEEK said of it, once: $what', async ({ result, outcome, errors }) => {
    const { bisectBatch, came, requests, logs } = setup({ rows: ['good'], play: () => result });

    await bisectBatch('probe');

    expect(came()).toEqual([
      [
        {
          ...{ kind: 'attempted', outcome, requestId: 'request-1' },
          ...(errors === undefined ? {} : { errors }),
        },
      ],
    ]);
    expect(requests).toMatchObject([{ ids: [0], permit: 'probe' }]);
    expect(logs.text()).toBe('');
  });

  it.each([
    { breakerOpen: false, outcome: 'dead HTTP_404' },
    // It is the address, not the signal.
    { breakerOpen: true, outcome: 'retry HTTP_404' },
  ])('and gets no GraphQL answer is $outcome with the lane closed: $laneClosed', async (row) => {
    const { bisectBatch, came } = setup({
      rows: ['good'],
      play: () => ({ kind: 'unreadable', status: 404 }),
      breakerOpen: row.breakerOpen,
    });

    await bisectBatch('probe');

    expect(came()[0]?.map(outcomeOf)).toEqual([row.outcome]);
  });

  it('and is refused is dead, though the lane be closed', async () => {
    const { bisectBatch, came } = setup({ rows: ['forbidden'], breakerOpen: true });

    await bisectBatch('probe');

    expect(came()[0]?.map(outcomeOf)).toEqual(['dead FORBIDDEN']);
  });

  it('rejects by a fault of ours, and is left unsettled', async () => {
    const { bisectBatch, came } = setup({
      rows: ['good'],
      play: () => {
        throw new TypeError('bug');
      },
    });

    await expect(bisectBatch()).rejects.toThrow('bug');
    expect(came()).toEqual([[]]);
  });
});

describe('a fault of ours in one part of a batch', () => {
  it('waits for the other parts, whose signals are settled all the same', async () => {
    let answerOther = () => {};
    const other = new Promise<void>((resolve) => {
      answerOther = resolve;
    });
    const { bisectBatch, came } = setup({
      rows: ['good', 'good', 'unnamed', 'good'],
      play: (sent) => {
        if (sent.length === 2 && sent[0]?.signalId === '2') throw new Error('bug');
        return undefined;
      },
      wait: (_, ids) => (ids.length === 2 && ids[0] === 0 ? other : undefined),
    });

    let end = 'none';
    const isolating = bisectBatch().catch((err: Error) => {
      end = err.message;
    });
    await new Promise(setImmediate);
    expect(end).toBe('none');
    answerOther();
    await isolating;

    expect(end).toBe('bug');
    expect(came().map((delivery) => delivery.length)).toEqual([1, 1, 0, 0]);
  });
});

describe('signals that are sent together', () => {
  it('are delivered by one request', async () => {
    const { bisectBatch, sent, came } = setup({ rows: ['good', 'good', 'good'] });

    await bisectBatch();

    expect(sent()).toEqual([[0, 1, 2]]);
    expect(came().map(([first]) => first)).toEqual(
      [0, 1, 2].map(() => ({
        ...{ kind: 'attempted', outcome: { kind: 'delivered' }, requestId: 'request-1' },
      })),
    );
  });

  it('are sent again without those that SEEK names, which are judged by what was said of them', async () => {
    const { bisectBatch, sent, came, logs } = setup({ rows: ['good', 'named', 'good', 'named'] });

    await bisectBatch();

    expect(sent()).toEqual([
      [0, 1, 2, 3],
      [0, 2],
    ]);
    expect(came()[1]).toEqual([
      {
        kind: 'attempted',
        outcome: {
          ...{ kind: 'dead', code: 'BAD_USER_INPUT', reason: 'Invalid; /input/token: Wrong' },
        },
        requestId: 'request-1',
        errors: [badInput({ invalidFields: { '/input/token': 'Wrong' } })],
      },
    ]);
    expect(came()[2]).toMatchObject([{ requestId: 'request-2' }]);
    expect(logs.lines()).toMatchObject([
      { level: 'info', msg: 'batch.rejected', requestId: 'request-1', signals: 4 },
    ]);
  });

  it('are halved where SEEK names none, down to the bad one', async () => {
    const { bisectBatch, sent, came } = setup({
      rows: ['good', 'good', 'forbidden', 'good', 'good'],
    });

    await bisectBatch();

    // One round after the other, and its parts together.
    expect(sent()).toEqual([[0, 1, 2, 3, 4], [0, 1, 2], [3, 4], [0, 1], [2]]);
    expect(came().map(([first]) => outcomeOf(first))).toEqual(
      ['good', 'good', 'forbidden', 'good', 'good'].map((row) => OUTCOMES[row as Row]),
    );
  });

  it('are sent on in parts that do not wait for each other', async () => {
    const gates: (() => void)[] = [];
    const { bisectBatch, sent, came } = setup({ rows: ['forbidden', 'good', 'good', 'good'] });
    const held = setup({
      rows: ['forbidden', 'good', 'good', 'good'],
      wait: (request) =>
        request === 2 ? new Promise<void>((resolve) => gates.push(resolve)) : undefined,
    });
    await bisectBatch();

    const all = held.bisectBatch();
    await new Promise(setImmediate);
    // The first half is still under way, and the second has come to its end.
    expect(held.sent()).toEqual([
      [0, 1, 2, 3],
      [0, 1],
      [2, 3],
    ]);
    expect(held.came().map((each) => each.map(outcomeOf))).toEqual([
      [],
      [],
      ['delivered'],
      ['delivered'],
    ]);
    for (const open of gates) open();
    await all;

    expect(held.sent()).toEqual(sent());
    expect(held.came().map((each) => each.map(outcomeOf))).toEqual(
      came().map((each) => each.map(outcomeOf)),
    );
  });

  it.each([
    { signals: 2, parts: [1, 1] },
    { signals: 3, parts: [2, 1] },
    { signals: 10, parts: [4, 4, 2] },
    { signals: 100, parts: Array.from({ length: 10 }, () => 10) },
  ])('are divided into few small parts by silence, as $signals into $parts', async (row) => {
    const { bisectBatch, sent } = setup({
      rows: Array.from({ length: row.signals }, (): Row => 'good'),
      play: (_, request) => (request === 1 ? SILENCE : undefined),
    });

    await bisectBatch();

    expect(
      sent()
        .slice(1)
        .map(({ length }) => length),
    ).toEqual(row.parts);
  });

  it('have one partner token renewed for all their parts', async () => {
    const { bisectBatch, errands } = setup({ rows: ['good', 'unnamed', 'good', 'named'] });

    await bisectBatch();
    await bisectBatch();

    const [first, ...parts] = errands.slice(0, errands.length / 2);
    expect([first, ...new Set(parts)]).toEqual([false, true]);
    expect(errands[errands.length / 2]).toBe(false);
  });

  it('take few rounds to find the one that SEEK is silent about', async () => {
    let rounds = 0;
    const { bisectBatch, came } = setup({
      rows: Array.from({ length: 100 }, (): Row => 'good'),
      play: (sent) => (sent.some(({ signalId }) => signalId === '57') ? SILENCE : undefined),
      wait: (_, ids) => {
        if (ids.includes(57)) rounds += 1;
        return undefined;
      },
    });

    await bisectBatch();

    // 100, 10, 4, 2 and 1: as many timeouts as are waited for.
    expect(rounds).toBeLessThanOrEqual(5);
    expect(came().map((each) => each.map(outcomeOf))).toEqual(
      Array.from({ length: 100 }, (_, row) => [row === 57 ? 'retry UNREACHABLE' : 'delivered']),
    );
  });

  it('do not suffer for each other, whichever of them are bad', async () => {
    await fc.assert(
      fc.asyncProperty(anyRows, async (rows) => {
        const { bisectBatch, requests, sent, came } = setup({ rows });

        await bisectBatch();

        expect(came().map((each) => each.map(outcomeOf))).toEqual(
          rows.map((row) => [OUTCOMES[row]]),
        );
        // Of the requests that SEEK took, each good one was in exactly one.
        const taken = sent().filter((ids) => ids.every((id) => rows[id] === 'good'));
        expect(taken.flat().toSorted((a, b) => a - b)).toEqual(
          rows.flatMap((row, id) => (row === 'good' ? [id] : [])),
        );
        expect(requests.length).toBeLessThanOrEqual(2 * rows.length);
      }),
    );
  });

  it.each<{ what: string; number: (row: number) => number | string }>([
    { what: 'from one', number: (row) => row + 1 },
    { what: 'from the end', number: (row) => 9 - row },
    { what: 'always as the first', number: () => 0 },
    { what: 'always as the last', number: () => 9 },
    { what: 'with zeros before', number: (row) => `0${row}` },
  ])('do not suffer for each other where SEEK counts its rows otherwise: $what', async (way) => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(9), { maxLength: 9 }), async (bad) => {
        const rows = Array.from(
          { length: 10 },
          (_, n): Row => (bad.includes(n) ? 'named' : 'good'),
        );
        const { bisectBatch, came } = setup({
          rows,
          play: (sent) => {
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

        expect(came().map((each) => each.map(outcomeOf))).toEqual(
          rows.map((row) => [OUTCOMES[row]]),
        );
      }),
    );
  });

  it('take one further request, however many of them SEEK names', async () => {
    const rows = Array.from({ length: 100 }, (_, n): Row => (n % 10 === 0 ? 'named' : 'good'));
    const { bisectBatch, sent } = setup({ rows });

    await bisectBatch();

    expect(sent()).toHaveLength(2);
  });

  it.each<{ kind: string; stop: SendOutcome }>([
    { kind: 'deferred', stop: { kind: 'deferred', code: 'RATE_LIMITED', reason: 'Too many' } },
    { kind: 'released', stop: { kind: 'released' } },
  ])(
    'are all settled, and once, when the road closes in the middle: the rest is $kind',
    async ({ kind, stop }) => {
      await fc.assert(
        fc.asyncProperty(anyRows, fc.integer({ min: 1, max: 30 }), async (rows, closesAt) => {
          const { bisectBatch, came } = setup({
            rows,
            play: (_, request) => (request >= closesAt ? stop : undefined),
          });

          await bisectBatch();

          for (const [row, each] of came().entries()) {
            expect(each).toHaveLength(1);
            expect([OUTCOMES[rows[row] ?? 'good'], kind]).toContain(outcomeOf(each[0]));
          }
        }),
      );
    },
  );

  it('keep what some of them came to when a fault of ours hits the rest', async () => {
    const { bisectBatch, came } = setup({
      rows: ['named', 'good', 'good'],
      play: (_, request) => {
        if (request === 2) throw new TypeError('bug');
        return answer(['named', 'good', 'good']);
      },
    });

    await expect(bisectBatch()).rejects.toThrow('bug');
    expect(came().map((each) => each.map(outcomeOf))).toEqual([['dead BAD_USER_INPUT'], [], []]);
  });
});

describe('a server that does not know sendSignals', () => {
  const UNKNOWN: Result = {
    kind: 'refused',
    errors: [
      {
        message: 'Cannot query field "sendSignals" on type "Mutation".',
        extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
      },
    ],
  };

  it('gets each signal on its own, and that is told once', async () => {
    const rows: Row[] = ['good', 'forbidden', 'poison', 'good'];
    const { bisectBatch, sent, came, unknown } = setup({
      rows,
      play: (entries) => (entries.length > 1 ? UNKNOWN : undefined),
    });

    await bisectBatch();

    expect(sent()).toEqual([[0, 1, 2, 3], [0], [1], [2], [3]]);
    expect(came().map((each) => each.map(outcomeOf))).toEqual(rows.map((row) => [OUTCOMES[row]]));
    expect(unknown).toEqual([1]);
  });

  it('is no news to a signal that went alone', async () => {
    const { bisectBatch, came, unknown } = setup({ rows: ['good'], play: () => UNKNOWN });

    await bisectBatch();

    expect(unknown).toEqual([]);
    expect(came()).toMatchObject([
      [{ outcome: { kind: 'retry', code: 'GRAPHQL_VALIDATION_FAILED' } }],
    ]);
  });
});

describe('one that has to go', () => {
  const HANDED_BACK = [{ kind: 'released' }];

  it('is left out from the start, and handed back', async () => {
    const { bisectBatch, sent, came } = setup({
      rows: ['good', 'good', 'good'],
      abort: new Map([[1, AbortSignal.abort()]]),
    });

    await bisectBatch();

    expect(sent()).toEqual([[0, 2]]);
    expect(came()[1]).toEqual(HANDED_BACK);
    expect(came()[2]?.map(outcomeOf)).toEqual(['delivered']);
  });

  it('leaves nothing to send when all have to', async () => {
    const gone = AbortSignal.abort();
    const { bisectBatch, sent, came } = setup({
      rows: ['good', 'good'],
      abort: new Map([
        [0, gone],
        [1, gone],
      ]),
    });

    await bisectBatch();

    expect(sent()).toEqual([]);
    expect(came()).toEqual([HANDED_BACK, HANDED_BACK]);
  });

  it('after a request is not in the next', async () => {
    const abort = new AbortController();
    const rows: Row[] = ['named', 'good', 'good'];
    const { bisectBatch, sent, came } = setup({
      rows,
      abort: new Map([[1, abort.signal]]),
      play: () => {
        abort.abort();
        return undefined;
      },
    });

    await bisectBatch();

    expect(sent()).toEqual([[0, 1, 2], [2]]);
    expect(came().map((each) => each.map(outcomeOf))).toEqual([
      ['dead BAD_USER_INPUT'],
      ['released'],
      ['delivered'],
    ]);
  });

  it('aborts a request only with all the others', async () => {
    const aborts = [new AbortController(), new AbortController()];
    const { bisectBatch, requests } = setup({
      rows: ['good', 'good'],
      abort: new Map(aborts.map(({ signal }, row) => [row, signal])),
    });
    const isolating = bisectBatch();
    const aborted = () => requests[0]?.abort?.aborted;

    expect(aborted()).toBe(false);
    aborts[0]?.abort('stopping');
    expect(aborted()).toBe(false);
    aborts[1]?.abort('stopping');
    expect(aborted()).toBe(true);
    expect(requests[0]?.abort?.reason).toBe('stopping');
    await isolating;
  });

  it('is forgotten by each request that is over', async () => {
    const signals = Array.from({ length: 30 }, () => new AbortController().signal);
    const { bisectBatch } = setup({
      rows: signals.map(() => 'unnamed'),
      abort: new Map(signals.entries()),
    });

    await bisectBatch();

    expect(signals.flatMap((signal) => getEventListeners(signal, 'abort'))).toEqual([]);
  });

  it('aborts no request in which another cannot be let go', async () => {
    const { bisectBatch, requests } = setup({
      rows: ['good', 'good'],
      abort: new Map([[0, new AbortController().signal]]),
    });

    await bisectBatch();

    expect(requests).toMatchObject([{ abort: undefined }]);
  });

  it('leaves everybody settled once, whenever and whoever it is', async () => {
    const anyAborts = fc.array(fc.tuple(fc.nat(39), fc.integer({ min: 1, max: 10 })));
    await fc.assert(
      fc.asyncProperty(anyRows, anyAborts, async (rows, aborts) => {
        const controllers = new Map(aborts.map(([row]) => [row, new AbortController()]));
        const { bisectBatch, came, requests } = setup({
          rows,
          abort: new Map([...controllers].map(([row, { signal }]) => [row, signal])),
          play: (_, request) => {
            for (const [row, at] of aborts) if (at === request) controllers.get(row)?.abort();
            return undefined;
          },
        });

        await bisectBatch();

        for (const [row, each] of came().entries()) {
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
