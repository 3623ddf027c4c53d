import { createExchange } from '../../../src/worker/delivery/sendAuthorised.ts';
import type { SendResult } from '../../../src/worker/seek/classify.ts';
import { PartnerTokenError } from '../../../src/worker/seek/partnerToken.ts';
import type { SendRequest } from '../../../src/worker/seek/seekClient.ts';
import { acceptedBySeek } from '../../schemas/parse.ts';
import { buildSignal } from '../../support/buildSignal.ts';

const refused = (code: string, message = 'As SEEK says'): SendResult => ({
  kind: 'refused',
  errors: [{ message, extensions: { code } }],
});
const UNAUTHENTICATED = refused('UNAUTHENTICATED');
const ACCEPTED: SendResult = { kind: 'accepted' };
const UNREACHABLE: SendResult = { kind: 'unreachable', reason: 'request failed', unsent: false };

type Doubles = {
  results?: (SendResult | Error)[];
  get?: () => Promise<string>;
  renew?: (stale: string) => Promise<string>;
  /** Of the errand: a partner token was renewed on it before. */
  renewedBefore?: boolean;
  /** Whether the lane is closed once it has heard of the answer. */
  closes?: boolean;
  /** Whether the lane lets each request in; `true` once they are used up. */
  enters?: (boolean | (() => Promise<boolean>))[];
  signalIds?: string[];
};

const setup = ({
  results = [],
  get,
  renew,
  enters = [],
  signalIds = ['one'],
  renewedBefore = false,
  closes = false,
}: Doubles = {}) => {
  const sent: SendRequest[] = [];
  const renewed: string[] = [];
  const entered: unknown[] = [];
  const reported: unknown[] = [];
  const exchange = createExchange({
    partnerToken: {
      peek: () => undefined,
      get: get ?? (async () => 'held'),
      renew: async (stale) => {
        renewed.push(stale);
        return renew?.(stale) ?? 'fresh';
      },
    },
    send: async (request) => {
      sent.push(request);
      const result = results[sent.length - 1] ?? ACCEPTED;
      if (result instanceof Error) throw result;
      return result;
    },
    lane: {
      enter: async (pass, abort) => {
        const may = enters[entered.length] ?? true;
        entered.push([pass, abort]);
        return typeof may === 'function' ? may() : may;
      },
      report: async (...given) => {
        reported.push(given);
        return closes;
      },
    },
    newRequestId: () => `request-${sent.length + 1}`,
  });
  const signals = signalIds.map((token) => acceptedBySeek(buildSignal({ token })));
  const entries = signals.map((signal, n) => ({ signalId: signalIds[n] ?? '', signal }));

  return {
    exchange: (abort?: AbortSignal, pass: 'open' | 'probe' = 'open') =>
      exchange(entries, { pass, renewed: renewedBefore }, abort),
    ...{ signals, sent, renewed, entered, reported },
  };
};

describe('an exchange', () => {
  it('sends the signals once, together, under the partner token and a request id of its own', async () => {
    const { exchange, signals, sent, renewed } = setup({ signalIds: ['one', 'two'] });
    const abort = new AbortController().signal;

    await expect(exchange(abort)).resolves.toEqual({
      ...{ kind: 'answered', requestId: 'request-1', result: ACCEPTED, laneClosed: false },
    });

    expect(sent).toEqual([{ signals, partnerToken: 'held', requestId: 'request-1', abort }]);
    expect(renewed).toEqual([]);
  });

  it.each<{ what: string; result: SendResult }>([
    { what: 'a refusal', result: refused('FORBIDDEN', 'No') },
    { what: 'SEEK in trouble', result: refused('INTERNAL_SERVER_ERROR') },
    { what: 'HTML', result: { kind: 'unreadable', status: 502, retryAfterMs: 7_000 } },
    { what: 'silence', result: UNREACHABLE },
  ])('hands on what SEEK said, and sends nothing again: $what', async ({ result }) => {
    const { exchange, sent } = setup({ results: [result] });

    await expect(exchange()).resolves.toEqual({
      ...{ kind: 'answered', requestId: 'request-1', result, laneClosed: false },
    });
    expect(sent).toHaveLength(1);
  });

  it('rejects with a fault of ours, for the processor to judge', async () => {
    const { exchange, reported } = setup({ results: [new TypeError('bug')] });

    await expect(exchange()).rejects.toThrow('bug');
    expect(reported).toEqual([]);
  });
});

describe('the lane', () => {
  it('is asked before each request, with the pass that was given', async () => {
    const { exchange, entered } = setup({ results: [UNAUTHENTICATED, ACCEPTED] });
    const abort = new AbortController().signal;

    await exchange(abort, 'probe');

    expect(entered).toEqual([
      ['probe', abort],
      ['probe', abort],
    ]);
  });

  it('that lets nothing in hands the signals back unsent, and hears nothing', async () => {
    const { exchange, sent, reported } = setup({ enters: [false] });

    await expect(exchange()).resolves.toEqual({ kind: 'handedBack' });
    expect([sent, reported]).toEqual([[], []]);
  });

  it('that closed before the repetition hands the signals back', async () => {
    const { exchange, sent, reported } = setup({
      results: [UNAUTHENTICATED],
      enters: [true, false],
    });

    await expect(exchange()).resolves.toEqual({ kind: 'handedBack' });
    expect(sent).toHaveLength(1);
    expect(reported).toEqual([]);
  });

  it.each<{ what: string; result: SendResult; report: object }>([
    { what: 'yes', result: ACCEPTED, report: { kind: 'clear' } },
    { what: 'a refusal', result: refused('FORBIDDEN'), report: { kind: 'clear' } },
    {
      what: 'trouble',
      result: refused('INTERNAL_SERVER_ERROR'),
      report: { kind: 'trouble', certain: false },
    },
    { what: 'no connection', result: { ...UNREACHABLE, unsent: true }, report: { certain: true } },
    { what: 'a limit', result: refused('RATE_LIMITED'), report: { kind: 'limited' } },
  ])('is told of the last answer, once, and for which signals: $what', async (row) => {
    const { exchange, reported } = setup({ results: [row.result], signalIds: ['one', 'two'] });

    await exchange(undefined, 'probe');

    expect(reported).toEqual([[expect.objectContaining(row.report), ['one', 'two'], 'probe']]);
  });

  it('is not told of an answer that a new partner token made good', async () => {
    const { exchange, reported } = setup({ results: [UNAUTHENTICATED, ACCEPTED] });

    await exchange();

    expect(reported).toEqual([[{ kind: 'clear' }, ['one'], 'open']]);
  });

  it.each<{ what: string; result: SendResult; code: string; reason: string }>([
    {
      what: 'RATE_LIMITED',
      result: refused('RATE_LIMITED', 'Too many'),
      ...{ code: 'RATE_LIMITED', reason: 'Too many' },
    },
    {
      what: 'HTTP 429',
      result: { kind: 'unreadable', status: 429 },
      ...{ code: 'HTTP_429', reason: 'HTTP 429 without a GraphQL answer' },
    },
  ])('that is limited defers all signals of the request: $what', async (row) => {
    const { exchange } = setup({ results: [row.result], signalIds: ['one', 'two'] });

    await expect(exchange()).resolves.toEqual({
      ...{ kind: 'deferred', code: row.code, reason: row.reason, requestId: 'request-1' },
    });
  });
});

describe('a lane that closed upon the answer', () => {
  it('is told of with it', async () => {
    const { exchange } = setup({ results: [{ kind: 'unreadable', status: 404 }], closes: true });

    await expect(exchange()).resolves.toMatchObject({ kind: 'answered', laneClosed: true });
  });
});

describe('a lane that cannot be asked', () => {
  const fails = () => Promise.reject(new Error('ECONNRESET'));

  it.each<{ when: string; enters: Doubles['enters']; requests: number }>([
    { when: 'before the request', enters: [fails], requests: 0 },
    { when: 'before the repetition', enters: [true, fails], requests: 1 },
  ])('defers the signals, and is told nothing: $when', async ({ enters = [], requests }) => {
    const { exchange, sent, reported } = setup({ results: [UNAUTHENTICATED], enters });

    await expect(exchange()).resolves.toEqual({
      ...{ kind: 'deferred', code: 'QUEUE', reason: 'The lane cannot be asked' },
    });
    expect([sent.length, reported]).toEqual([requests, []]);
  });
});

describe('a rejected partner token', () => {
  it.each<{ what: string; result: SendResult }>([
    { what: 'UNAUTHENTICATED', result: UNAUTHENTICATED },
    { what: 'a bare HTTP 401', result: { kind: 'unreadable', status: 401 } },
  ])(
    'is renewed once, and the request repeated once under another id: $what',
    async ({ result }) => {
      const { exchange, sent, renewed } = setup({ results: [result, ACCEPTED] });

      await expect(exchange()).resolves.toEqual({
        ...{ kind: 'answered', requestId: 'request-2', result: ACCEPTED, laneClosed: false },
      });

      expect(renewed).toEqual(['held']);
      expect(sent.map(({ partnerToken, requestId }) => [partnerToken, requestId])).toEqual([
        ['held', 'request-1'],
        ['fresh', 'request-2'],
      ]);
    },
  );

  it.each<{ what: string; second: SendResult }>([
    { what: 'it is rejected again', second: UNAUTHENTICATED },
    {
      what: 'it is rejected for the signal’s sake',
      second: refused(
        'UNAUTHENTICATED',
        'Live tokens are not accepted when accessing public test data',
      ),
    },
    { what: 'nothing comes back', second: UNREACHABLE },
  ])('is never renewed twice: the repetition decides, when $what', async ({ second }) => {
    const { exchange, sent, renewed } = setup({ results: [UNAUTHENTICATED, second] });

    await expect(exchange()).resolves.toEqual({
      ...{ kind: 'answered', requestId: 'request-2', result: second, laneClosed: false },
    });
    expect([sent.length, renewed.length]).toEqual([2, 1]);
  });

  it('is not renewed for each part of a batch: once on the way is enough', async () => {
    const { exchange, sent, renewed } = setup({ results: [UNAUTHENTICATED], renewedBefore: true });

    await expect(exchange()).resolves.toMatchObject({ result: UNAUTHENTICATED });
    expect([sent.length, renewed]).toEqual([1, []]);
  });

  it('whose renewal fails defers the signal, and nothing is repeated', async () => {
    const { exchange, sent } = setup({
      results: [UNAUTHENTICATED],
      renew: () => Promise.reject(new PartnerTokenError('token endpoint: HTTP 503')),
    });

    await expect(exchange()).resolves.toEqual({
      ...{ kind: 'deferred', code: 'PARTNER_TOKEN', reason: 'token endpoint: HTTP 503' },
    });
    expect(sent).toHaveLength(1);
  });
});

describe('no partner token', () => {
  it.each([
    { code: 'PARTNER_TOKEN', refused: false, retryAfterMs: 5_000 },
    { code: 'CREDENTIALS_REFUSED', refused: true, retryAfterMs: undefined },
  ])('sends nothing, defers the signals and is certain trouble: $code', async (row) => {
    const { code, ...options } = row;
    const { exchange, sent, entered, reported } = setup({
      get: () => Promise.reject(new PartnerTokenError('token endpoint: HTTP nnn', options)),
    });

    const reason = 'token endpoint: HTTP nnn';
    await expect(exchange()).resolves.toEqual({ kind: 'deferred', code, reason });

    expect([sent, entered]).toEqual([[], []]);
    const trouble = { code, reason, retryAfterMs: row.retryAfterMs };
    expect(reported).toEqual([[{ kind: 'trouble', certain: true, trouble }, ['one'], 'open']]);
  });

  it('for a reason that nobody foresaw is a fault', async () => {
    const { exchange } = setup({ get: () => Promise.reject(new TypeError('bug')) });

    await expect(exchange()).rejects.toThrow(TypeError);
  });
});

describe('letting go', () => {
  const HANDED_BACK = { kind: 'handedBack' };

  it.each<{ when: string; results: SendResult[] }>([
    { when: 'the request', results: [{ kind: 'aborted' }] },
    { when: 'the repetition', results: [UNAUTHENTICATED, { kind: 'aborted' }] },
  ])('in the middle of $when hands the signals back, and tells the lane nothing', async (row) => {
    const { exchange, reported } = setup({ results: row.results });

    await expect(exchange()).resolves.toEqual(HANDED_BACK);
    expect(reported).toEqual([]);
  });

  it('before the request hands the signals back unsent', async () => {
    const { exchange, sent } = setup();

    await expect(exchange(AbortSignal.abort())).resolves.toEqual(HANDED_BACK);
    expect(sent).toEqual([]);
  });

  it.each<{ when: string; doubles: (letGo: () => void) => Doubles }>([
    {
      when: 'a partner token is waited for',
      doubles: (letGo) => ({
        get: () => {
          letGo();
          return new Promise(() => {});
        },
      }),
    },
    {
      when: 'a partner token is renewed',
      doubles: (letGo) => ({
        results: [UNAUTHENTICATED],
        renew: () => {
          letGo();
          return new Promise(() => {});
        },
      }),
    },
    {
      when: 'the lane is waited for',
      doubles: (letGo) => ({
        enters: [
          () => {
            letGo();
            return Promise.reject(new Error('aborted'));
          },
        ],
      }),
    },
  ])('while $when hands the signals back', async ({ doubles }) => {
    const abort = new AbortController();
    const { exchange, reported } = setup(doubles(() => abort.abort()));

    await expect(exchange(abort.signal)).resolves.toEqual(HANDED_BACK);
    expect(reported).toEqual([]);
  });
});
